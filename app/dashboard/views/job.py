"""One job: its way so far, its attempts, what it was given and what came of it; and what to do."""

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import JobExecution, get_job_execution_by_job_id
from ...jobs.operate import (
    Filter,
    actions,
    attempts_made,
    audit,
    logs_of,
    progress,
    related_to,
    schedule_actions,
    unique,
    waiting,
)
from .. import access, cookies, formatting, panels, states, timeline
from ..access import Role
from ..rendering import link, page
from ..screens import Screen

screen = Screen("job", "")

_GONE = "No such job; it may have been deleted."


@screen.page("/job/<path:job_id>")
def index(job_id: str) -> ResponseReturnValue:
    row = job_of(job_id)
    entries, own = audit.entries_of(row.job_id), access.user().organization_id
    spans = timeline.spans_of(row, entries)
    return page(
        "job.html",
        row=row,
        state=states.state_of(row),
        actions=states.actions_for(row),
        can_be_made=states.is_known(row.job_type),
        attempts=list(reversed(row.attempts)),
        made=attempts_made(row),
        logs={log.attempt: log for log in logs_of(row)} if access.user().may(Role.OPERATOR) else {},
        related=related_to(row, organization_id=own),
        state_of=states.state_of,
        run_by=schedule_actions.run_by(row),
        panels=panels.of(row),
        progress=progress.of(row),
        waits=waiting.reasons([row]).get(row.job_id),
        facts=unique.facts_of(row),
        events=timeline.events_of(row, entries, tells_others=own is None),
        bars=timeline.bars_of(spans),
        spans=spans,
        entries=entries,
    )


@screen.action("/retry", needs=Role.OPERATOR)
def retry() -> ResponseReturnValue:
    row, wanted = _asked()
    done = actions.retry(wanted, by=access.user().name)
    if done.refused:
        cookies.notice(f"Not retried: {done.refused[0]}.", kind="problem")
        return redirect(link("job", job_id=row.job_id))
    waits = "; QStash cannot be reached, and the sweep publishes it" if done.waiting else ""
    return _say(row, done.count, f"is pending again, with all its retries{waits}", "retried")


@screen.action("/cancel", needs=Role.OPERATOR)
def cancel() -> ResponseReturnValue:
    row, wanted = _asked()
    done = actions.cancel(wanted, by=access.user().name)
    said = "is running, and was asked to stop" if done.asked else "is cancelled"
    return _say(row, done.count, said, "cancelled")


@screen.action("/delete", needs=Role.ADMIN)
def delete() -> ResponseReturnValue:
    row, wanted = _asked()
    job_id, job_type = row.job_id, row.job_type
    if not actions.delete(wanted, by=access.user().name).count:
        return _say(row, 0, "", "deleted")
    cookies.notice(f"Job {job_id} ({job_type}) is deleted.")
    return redirect(link("jobs"))


def job_of(job_id: str) -> JobExecution:
    """Return a job that the user may see; 404 tells nobody that there is another."""
    row = get_job_execution_by_job_id(job_id)
    own = access.user().organization_id
    if row is None or (own is not None and row.organization_id != own):
        abort(404, _GONE)
    return row


def _asked() -> tuple[JobExecution, Filter]:
    """Return the job that a form is about, and the filter that is that job alone."""
    row = job_of(request.form.get("job_id", ""))
    return row, access.within({"job_ids": (row.job_id,)})


def _say(row: JobExecution, count: int, said: str, done: str) -> ResponseReturnValue:
    """Lead back to the job, which then says what was changed of it."""
    if count:
        cookies.notice(f"Job {formatting.short_id(row.job_id)} {said}.")
    else:
        state = states.state_of(job_of(row.job_id)).name  # as it is by now
        told = f"Nothing was changed: a job that is {state} cannot be {done}."
        cookies.notice(told, kind="problem")
    return redirect(link("job", job_id=row.job_id))
