"""`/api/pauses`: pause a job type, a queue, a flow-control key or an organization, and resume."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from app.api import request_parsing, schemas, views
from app.api.access import authorise, caller_name, forbid
from app.api.documented import Operation, documented
from app.api.keys import Key
from app.api.request_parsing import InvalidRequest
from app.jobs import InvalidOption, UnknownJobType, pause, paused, resume
from app.jobs.kit import translate_database_errors
from app.web.limits import limited
from app.web.problems import problem

bp = limited(Blueprint("job_pauses", __name__, url_prefix="/api/pauses"), known_as=caller_name)


@bp.get("")
@documented(
    Operation(
        summary="List what is paused, the oldest pause first",
        scopes=("read",),
        answers={200: schemas.PausesSchema},
        problems=(401, 403, 429, 503),
    )
)
def list_pauses() -> ResponseReturnValue:
    key = authorise("read")
    with translate_database_errors():
        found = paused()
    own = key.organization_id
    seen = [one for one in found if own is None or _is_of(one.pause.kind, one.pause.name, own)]
    return {"pauses": [views.pause(one) for one in seen]}


@bp.put("/<kind>/<path:name>")
@documented(
    Operation(
        summary="Pause, or give the reason anew of what is paused",
        scopes=("manage",),
        body=schemas.PauseRequestSchema,
        answers={200: schemas.PauseSchema},
        problems=(400, 401, 403, 413, 415, 422, 429, 503),
    )
)
def begin(kind: str, name: str) -> ResponseReturnValue:
    """Have its jobs wait, at no cost to them, until a DELETE of the same address."""
    key = _authorised(kind, name)
    given = request_parsing.body(schemas.PauseRequestSchema)
    try:
        with translate_database_errors():
            return views.pause(pause(kind, name, reason=given["reason"], by=key.actor))
    except UnknownJobType as error:
        raise InvalidRequest({"name": [str(error)]}) from None
    except InvalidOption as error:
        raise InvalidRequest.of(error) from None


@bp.delete("/<kind>/<path:name>")
@documented(
    Operation(
        summary="Resume, and publish the jobs that waited",
        scopes=("manage",),
        answers={200: schemas.ResumedSchema},
        problems=(401, 403, 404, 429, 503),
    )
)
def end(kind: str, name: str) -> ResponseReturnValue:
    key = _authorised(kind, name)
    try:
        with translate_database_errors():
            done = resume(kind, name, by=key.actor)
    except InvalidOption:
        abort(HTTPStatus.NOT_FOUND, "That is not paused.")
    return {"published": done.published, "left": done.left}


@bp.errorhandler(InvalidRequest)
def _invalid_request(error: InvalidRequest) -> Response:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=error.errors)


def _authorised(kind: str, name: str) -> Key:
    """Return the caller's key; one of an organization may pause nothing but that."""
    key = authorise("manage")
    own = key.organization_id
    if own is not None and not _is_of(kind, name, own):
        forbid(f"This key may pause only organization {own}.")
    return key


def _is_of(kind: str, name: str, organization_id: Any) -> bool:
    return (kind, name) == ("organization", str(organization_id))
