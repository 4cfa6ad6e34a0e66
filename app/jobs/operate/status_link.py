"""A job's progress, for anyone who has its link: `GET /api/jobs/<job_id>`.

A link is for one job and expires. It tells what a user may see: neither the payload nor what an
error said, only the error's class.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import time
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer

from ..any_host import AnyHostBlueprint
from ..errors import BatchRefused, InvalidOption, JobsNotInitialised
from ..table import job_rows, progress
from ..table.db import translate_database_errors
from ..table.models import JobExecution, Status
from ..values.ids import is_job_id, is_uuid
from ..values.options import Duration, parse_duration
from . import batches

DAY = 24 * 60 * 60

#: From a job to links of its result, by name; called for completed jobs only.
Links = Callable[[JobExecution], Mapping[str, str]]
#: From an id to the answer for a caller without its link; None leaves that to the next.
Viewer = Callable[[str], ResponseReturnValue | None]

bp = AnyHostBlueprint("job_status", __name__)

#: Not a path: links that were given out before a module moved stay valid.
_SALT = "app.jobs.status"
_LINKS = "jobs.links"
_VIEWERS = "jobs.viewers"
_BATCH_VIEWERS = "jobs.batch_viewers"


def status_url(job_id: str, *, expires_in: Duration = DAY) -> str:
    """Return a link to a job's status, for users to poll.

    Anyone with the link can look; `describe` returns what they see.

    Args:
        job_id: What `enqueue` returned.
        expires_in: Seconds, a timedelta, or a text such as "2h".

    Raises:
        InvalidOption: `expires_in` is not above zero, or `job_id` is none that a URL can have:
            a line of 1 to 255 characters without a slash.
        JobsNotInitialised: The app has no SECRET_KEY.
    """
    if not is_job_id(job_id) or "/" in job_id:
        raise InvalidOption(f"job_id: {job_id!r} cannot be used in a link")
    token = _token(job_id, expires_in)
    return f"{current_app.config['BASE_URL']}/api/jobs/{quote(job_id, safe='')}?token={token}"


def batch_status_url(batch_id: str, *, expires_in: Duration = DAY) -> str:
    """Return a link to a batch's progress, for users to poll; args and errors as `status_url`."""
    if not is_uuid(batch_id):
        raise InvalidOption(f"batch_id: {batch_id!r} is not the id of a batch")
    token = _token(_of_batch(batch_id), expires_in)
    return f"{current_app.config['BASE_URL']}/api/batches/{batch_id}?token={token}"


def register_links(app: Flask, links: Links) -> None:
    """Have the status of completed jobs name links to what they made, such as a download.

    Args:
        app: The app.
        links: From a job (its `result`, say) to URLs by name; an empty mapping where it has none.
    """
    app.extensions.setdefault(_LINKS, []).append(links)


def register_viewer(app: Flask, viewer: Viewer) -> None:
    """Let callers without the link see a job, by rights of another kind.

    Args:
        app: The app.
        viewer: Answers a request for a job, or refuses it; None where it does not know the caller.
    """
    app.extensions.setdefault(_VIEWERS, []).append(viewer)


def register_batch_viewer(app: Flask, viewer: Viewer) -> None:
    """Let callers without the link see a batch, as `register_viewer` does with a job."""
    app.extensions.setdefault(_BATCH_VIEWERS, []).append(viewer)


@bp.get("/api/jobs/<job_id:job_id>")
def job_status(job_id: str) -> ResponseReturnValue:
    """Answer a job's status, or 403 that says nothing, not even whether there is such a job."""
    if not has_link(job_id):
        return _seen_otherwise(_VIEWERS, job_id)
    with translate_database_errors():
        row = job_rows.get_job_execution_by_job_id(job_id)
        if row is None:
            abort(404, "No such job; it may have been deleted.")
        return describe(row)


@bp.get("/api/batches/<batch_id>")
def batch_status(batch_id: str) -> ResponseReturnValue:
    """Answer a batch's progress, or 403 that says nothing."""
    if not has_batch_link(batch_id):
        return _seen_otherwise(_BATCH_VIEWERS, batch_id)
    with translate_database_errors():
        try:
            found = batches.find(batch_id)
        except BatchRefused:
            abort(404, "No such batch; it may have been deleted.")
        return describe_batch(found, batches.steps(batch_id))


def _seen_otherwise(viewers: str, subject: str) -> ResponseReturnValue:
    """Answer a caller without a link, if he may look."""
    registered: list[Viewer] = current_app.extensions.get(viewers, [])
    answers = (viewer(subject) for viewer in registered)
    answer = next((answer for answer in answers if answer is not None), None)
    return answer or abort(403, "This link is invalid or has expired: ask for a new one.")


@bp.after_request
def _keep_out_of_caches(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def describe(row: JobExecution) -> dict[str, Any]:
    """Return what a user may see of a job, as JSON has it."""
    found = progress.of(row)
    return {
        "jobId": row.job_id,
        "type": row.job_type,
        "status": row.status,
        "final": row.is_final,
        "progress": found and {name: getattr(found, name) for name in found.__slots__},
        "result": row.result,
        "error": error_class(row),
        "attempts": progress.attempts_made(row),
        "createdAt": _iso(row.created_at),
        "startedAt": _iso(progress.began_at(row)),
        "completedAt": _iso(row.completed_at),
        "links": _links(row),
    }


def describe_batch(found: batches.Summary, steps: Sequence[batches.StepState]) -> dict[str, Any]:
    """Return what a user may see of a batch, as JSON has it, with its steps if it has any."""
    return {
        "batchId": found.id,
        "name": found.name,
        "state": found.state,
        "final": found.is_final,
        "percent": found.percent,
        "jobs": found.jobs,
        "completed": found.completed,
        "dead": found.dead,
        "cancelled": found.cancelled,
        "createdAt": _iso(found.created_at),
        "endedAt": _iso(found.ended_at),
        "steps": [
            {"name": step.name, "state": step.state} for step in steps if not step.is_following
        ],
    }


def _of_batch(batch_id: str) -> list[str]:
    """Return the subject of a batch's token; that of a job's is its id, which is a text."""
    return ["batch", batch_id]


def _token(subject: str | list[str], expires_in: Duration) -> str:
    seconds = parse_duration("expires_in", expires_in)
    if not seconds:
        raise InvalidOption(f"expires_in: {expires_in!r} is not above zero")
    return str(_serializer().dumps([subject, int(time()) + seconds]))


def has_link(subject: str | list[str]) -> bool:
    """Tell whether the current request has a token for this job, which is named by its id."""
    authorization = request.authorization
    given = [request.args.get("token"), authorization.token if authorization else None]
    return any(_is_for(subject, token) for token in given if token)


def has_batch_link(batch_id: str) -> bool:
    """Tell whether the current request has a token for this batch."""
    return has_link(_of_batch(batch_id))


def _is_for(wanted: str | list[str], token: str) -> bool:
    try:
        subject, expires_at = _serializer().loads(token)
    except BadData:
        return False
    return bool(subject == wanted and time() < expires_at)


def _serializer() -> URLSafeSerializer:
    config = current_app.config
    if not config["SECRET_KEY"]:
        raise JobsNotInitialised("set SECRET_KEY: it signs the links to the status of jobs")
    keys = [*(config.get("SECRET_KEY_FALLBACKS") or ()), config["SECRET_KEY"]]
    return URLSafeSerializer(keys, salt=_SALT)


def error_class(row: JobExecution) -> str | None:
    """Name what went wrong: the exception's class, or what kept the handler from ending."""
    if row.status != Status.FAILED:
        return None
    last = row.attempts[-1] if row.attempts else {}
    names = {"failed": last.get("kind", "Error"), "lost": "ProcessLost"}
    return str(names.get(last.get("outcome", ""), "Undelivered"))


def _links(row: JobExecution) -> dict[str, str]:
    if row.status != Status.COMPLETED:
        return {}
    registered: list[Links] = current_app.extensions.get(_LINKS, [])
    return {name: url for links in registered for name, url in links(row).items()}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
