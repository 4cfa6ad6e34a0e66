"""Operations: actions on many jobs, which a job works off, and how far each is."""

from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import JobExecution, get_job_execution_by_job_id
from ...jobs.kit import MAX_NUMBER
from ...jobs.operate import operations
from .. import access, cookies, states
from ..access import Role
from ..rendering import link, page
from ..screens import Screen
from .audit import asked_for

screen = Screen("operations", "")

#: How many of the newest are listed.
LIMIT = 50


@screen.page("/operations")
def index() -> ResponseReturnValue:
    found = operations.newest(LIMIT, organization_id=access.user().organization_id)
    return page("operations.html", rows=[(one, _percent(one)) for one in found])


@screen.page("/operations/<int:operation_id>")
def one(operation_id: int) -> ResponseReturnValue:
    found = _operation(operation_id)
    job = get_job_execution_by_job_id(found.job_id or "")
    return page(
        "operation.html",
        one=found,
        asked=asked_for(found.filter),
        percent=_percent(found),
        job=job,
        trouble=_trouble(found, job),
        state_of=states.state_of,
    )


@screen.action("/operations/stop", needs=Role.OPERATOR)
def stop() -> ResponseReturnValue:
    found = _asked()
    is_stopped = operations.stop(found.id, by=access.user().name)
    return _say(found.id, "It is stopped; what is done stays done." if is_stopped else None)


@screen.action("/operations/resume", needs=Role.OPERATOR)
def resume() -> ResponseReturnValue:
    found = _asked()
    access.admit(Role.ADMIN if found.action == "delete" else Role.OPERATOR)
    goes_on = operations.resume(found.id, by=access.user().name)
    return _say(found.id, "It goes on where it was." if goes_on else None)


def _asked() -> Any:
    given = request.form.get("id", "")
    if not (given.isascii() and given.isdigit()):
        abort(404, "No such operation.")
    return _operation(int(given))


def _operation(operation_id: int) -> Any:
    """Return an operation that the user may see; 404 tells nobody that there is another."""
    own = access.user().organization_id
    found = operations.find(operation_id) if operation_id <= MAX_NUMBER else None
    if found is None or (own is not None and found.organization_id != own):
        abort(404, "No such operation.")
    return found


def _percent(found: Any) -> int | None:
    if not found.total:
        return 100 if found.state == "done" else None
    done = min(100, found.changed * 100 // found.total)
    return 100 if found.state == "done" else min(99, done)


def _trouble(found: Any, job: JobExecution | None) -> str | None:
    """Say why nothing goes on, where an operation runs only as far as its row says."""
    if found.state != "running":
        return None
    if job is None:
        return "The job that works it off was deleted."
    if job.dead_at is not None:
        return f"The job that works it off died: {job.error}"
    if job.is_final:
        return f"The job that works it off is {job.status}."
    if job.status == "failed":
        return f"The job that works it off failed, and is tried again: {job.error}"
    return None


def _say(operation_id: int, said: str | None) -> ResponseReturnValue:
    if said:
        cookies.notice(said)
    else:
        cookies.notice("Nothing was changed: it is in another state by now.", kind="problem")
    return redirect(link("operations_one", operation_id=operation_id))
