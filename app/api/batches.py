"""`/api/batches` and `/api/signals`: list and show batches and workflows, and act on them."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from app.api import batch_schemas, request_parsing, views
from app.api.access import authorise, caller_name, forbid, has_key
from app.api.documented import Operation, documented
from app.api.keys import Key
from app.api.request_parsing import InvalidRequest
from app.jobs import BatchRefused, InvalidOption, SignalUnheard, signal
from app.jobs.kit import translate_database_errors
from app.jobs.operate import batches
from app.web.limits import limited
from app.web.problems import problem

bp = limited(Blueprint("job_batches", __name__, url_prefix="/api/batches"), known_as=caller_name)
signals = limited(Blueprint("job_signals", __name__, url_prefix="/api"), known_as=caller_name)

_PROBLEMS = (401, 403, 404, 409, 429, 503)


def seen_by_key(batch_id: str) -> dict[str, Any] | None:
    """Answer `GET /api/batches/<id>` for a caller with a key; see `register_batch_viewer`."""
    return _shown(batch_id, authorise("read")) if has_key() else None


@bp.get("")
@documented(
    Operation(
        summary="List batches and workflows, newest first",
        scopes=("read",),
        query=batch_schemas.BatchFilterSchema,
        answers={200: batch_schemas.BatchPageSchema},
        problems=(401, 403, 422, 429, 503),
    )
)
def list_page() -> ResponseReturnValue:
    """Answer one page; its `after` requests the next."""
    key = authorise("read")
    given = request_parsing.query(batch_schemas.BatchFilterSchema)
    if key.organization_id is not None:
        if given.get("organization_id") not in {None, key.organization_id}:
            forbid(f"organizationId: this key is only for organization {key.organization_id}.")
        given["organization_id"] = key.organization_id
    limit = given.pop("limit")
    try:
        with translate_database_errors():
            found = batches.newest(**given, limit=limit + 1)
    except InvalidOption as error:
        raise InvalidRequest.of(error) from None
    page = found[:limit]
    after = batches.cursor(page[-1]) if len(found) > limit else None
    return {"batches": [views.batch(one) for one in page], "after": after}


@bp.post("/<batch_id>/cancel")
@documented(
    Operation(
        summary="Cancel a batch or workflow: what has not begun never does",
        scopes=("manage",),
        answers={200: batch_schemas.BatchSchema},
        problems=_PROBLEMS,
    )
)
def cancel(batch_id: str) -> ResponseReturnValue:
    key = authorise("manage")
    with translate_database_errors():
        found = _find(batch_id, key)
        try:
            batches.cancel(found.id, by=key.actor)
        except BatchRefused:
            abort(HTTPStatus.CONFLICT, "It has ended; only what is running can be cancelled.")
        return _shown(found.id, key)


@bp.post("/<batch_id>/retry")
@documented(
    Operation(
        summary="Retry a batch's dead jobs, and have steps that timed out wait again",
        scopes=("manage",),
        answers={200: batch_schemas.BatchSchema},
        problems=_PROBLEMS,
    )
)
def retry(batch_id: str) -> ResponseReturnValue:
    key = authorise("manage")
    with translate_database_errors():
        found = _find(batch_id, key)
        done = batches.retry(found.id, by=key.actor)
        if not done.count + done.waits:
            none = "None of its jobs is dead; only those can be retried"
            abort(HTTPStatus.CONFLICT, f"{done.refused[0] if done.refused else none}.")
        return _shown(found.id, key)


@signals.post("/signals")
@documented(
    Operation(
        summary="Complete the steps of workflows that wait for an event",
        scopes=("manage",),
        body=batch_schemas.SignalSchema,
        answers={200: batch_schemas.HeardSchema},
        problems=(400, 401, 403, 404, 413, 415, 422, 429, 503),
    )
)
def tell() -> ResponseReturnValue:
    """Workflows of a key's organization hear it, or everybody's do; 404 where none waits."""
    key = authorise("manage")
    given = request_parsing.body(batch_schemas.SignalSchema)
    try:
        with translate_database_errors():
            heard = signal(given["event"], given["data"], organization_id=key.organization_id)
    except SignalUnheard as error:
        abort(HTTPStatus.NOT_FOUND, f"{error}.")
    except BatchRefused as error:
        raise InvalidRequest({"data": [str(error).removeprefix("data: ")]}) from None
    return {"heard": heard}


@bp.errorhandler(InvalidRequest)
@signals.errorhandler(InvalidRequest)
def _invalid_request(error: InvalidRequest) -> Response:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=error.errors)


def _shown(batch_id: str, key: Key) -> dict[str, Any]:
    with translate_database_errors():
        found = _find(batch_id, key)
        return views.whole_batch(found, batches.steps(found.id))


def _find(batch_id: str, key: Key) -> batches.Summary:
    """Return a batch; another organization's counts as missing."""
    try:
        found = batches.find(batch_id)
    except BatchRefused:
        found = None
    if found is None or key.organization_id not in {None, found.organization_id}:
        abort(HTTPStatus.NOT_FOUND, "No such batch; it may have been deleted.")
    return found
