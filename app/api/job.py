"""`/api/jobs/<id>`: show one job and act on it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from app.api import schemas, views
from app.api.access import authorise, caller_name, forbid, has_key
from app.api.documented import Operation, documented
from app.api.keys import Key
from app.db import db
from app.jobs import JobExecution, get_job_execution_by_job_id
from app.jobs.cli import kit
from app.jobs.kit import translate_database_errors
from app.jobs.operate import Done, Filter, actions, logs_of, status_link
from app.web.limits import limited

bp = limited(
    Blueprint("job_actions", __name__, url_prefix="/api/jobs/<job_id:job_id>"),
    known_as=caller_name,
)

_PROBLEMS = (401, 403, 404, 409, 429, 503)


def _known_by_key_or_link() -> str | None:
    if name := caller_name():
        return name
    about = request.view_args or {}
    if batch_id := about.get("batch_id"):
        return f"batch {batch_id}" if status_link.has_batch_link(batch_id) else None
    job_id = str(about.get("job_id"))
    return f"job {job_id}" if status_link.has_link(job_id) else None


# The extension makes it, and leaves its rate limit to the app.
limited(status_link.bp, known_as=_known_by_key_or_link)


def seen_by_key(job_id: str) -> dict[str, Any] | None:
    """Answer `GET /api/jobs/<id>` for a caller with a key; see `status_link.register_viewer`."""
    if not has_key():
        return None
    key = authorise("read")
    with translate_database_errors():
        return views.details(_find(job_id, key), key)


@bp.get("/logs")
@documented(
    Operation(
        summary="Show what a job's handler logged, by attempt",
        scopes=("manage",),
        answers={200: schemas.LogsSchema},
        problems=(401, 403, 404, 429, 503),
    )
)
def logs(job_id: str) -> ResponseReturnValue:
    """Only for the operator's keys: a line may say anything."""
    key = authorise("manage")
    if key.organization_id is not None:
        forbid("A key of one organization cannot read what jobs log.")
    with translate_database_errors():
        kept = logs_of(_find(job_id, key))
    return {"logs": [views.log(one) for one in kept]}


@bp.post("/retry")
@documented(
    Operation(
        summary="Put a failed or cancelled job back, with all its retries",
        scopes=("manage",),
        answers={200: schemas.JobSchema},
        problems=_PROBLEMS,
    )
)
def retry(job_id: str) -> ResponseReturnValue:
    return _act(job_id, actions.retry, "failed and cancelled jobs can be retried")


@bp.post("/cancel")
@documented(
    Operation(
        summary="Cancel a job, or ask it to stop if it is running",
        scopes=("manage",),
        answers={200: schemas.JobSchema},
        problems=_PROBLEMS,
    )
)
def cancel(job_id: str) -> ResponseReturnValue:
    return _act(job_id, actions.cancel, "jobs that have not ended can be cancelled")


@bp.delete("")
@documented(
    Operation(
        summary="Delete a completed, cancelled or dead job",
        scopes=("manage",),
        answers={204: None},
        problems=_PROBLEMS,
    )
)
def delete(job_id: str) -> ResponseReturnValue:
    _done(job_id, authorise("manage"), actions.delete, "jobs that have ended can be deleted")
    return "", HTTPStatus.NO_CONTENT


def _act(job_id: str, action: Callable[..., Done], possible: str) -> dict[str, Any]:
    """Act, and answer with the job's new state."""
    key = authorise("manage")
    _done(job_id, key, action, possible)
    with translate_database_errors():
        return views.details(_find(job_id, key), key)


def _done(job_id: str, key: Key, action: Callable[..., Done], possible: str) -> None:
    with translate_database_errors():
        state = kit.state(_find(job_id, key))
        db.session.rollback()  # the action uses its own transactions
    wanted = Filter(job_ids=(job_id,), organization_id=key.organization_id)
    done = action(wanted, by=key.actor)
    if not done.count:
        said = done.refused[0] if done.refused else f"The job is {state}; only {possible}"
        abort(HTTPStatus.CONFLICT, f"{said}.")


def _find(job_id: str, key: Key) -> JobExecution:
    """Return a job; another organization's counts as missing."""
    row = get_job_execution_by_job_id(job_id)
    if row is None or key.organization_id not in {None, row.organization_id}:
        abort(HTTPStatus.NOT_FOUND, "No such job; it may have been deleted.")
    return row
