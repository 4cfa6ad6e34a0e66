"""`/api/jobs` and `/api/job-types`: enqueue and list jobs, list job types."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from app.api import namespaces, request_parsing, schemas, views
from app.api.access import authorise, caller_name, forbid, requires
from app.api.documented import Operation, documented
from app.api.keys import Key
from app.api.request_parsing import InvalidRequest
from app.jobs import (
    InvalidOption,
    InvalidPayload,
    KeyReused,
    NotUnique,
    UnknownJobType,
    enqueue,
    get_job_config,
    status_url,
)
from app.jobs.kit import registry_of, translate_database_errors
from app.jobs.operate import Filter, is_recorded, list_jobs
from app.web.limits import limited
from app.web.problems import problem

log = logging.getLogger(__name__)

bp = limited(Blueprint("job_api", __name__, url_prefix="/api"), known_as=caller_name)


@bp.post("/jobs")
@documented(
    Operation(
        summary="Enqueue a job",
        scopes=("enqueue",),
        body="Enqueue",
        headers={
            "Idempotency-Key": "Same as `idempotencyKey`: at most one job is enqueued per key."
        },
        answers={200: schemas.EnqueuedSchema, 202: schemas.EnqueuedSchema},
        problems=(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
)
def enqueue_job() -> ResponseReturnValue:
    """Answer 202 when the job is recorded, or 200 if its key already has one."""
    key = authorise("enqueue")
    given = request_parsing.body(schemas.EnqueueSchema)
    _take_header(given)
    _bind(given, key)
    namespaces.keep_apart(given, key)
    try:
        job_id = enqueue(given.pop("type"), given.pop("payload"), **given)
    except UnknownJobType as error:
        raise InvalidRequest({"type": [str(error)]}) from None
    except InvalidPayload as error:
        raise InvalidRequest({"payload": error.errors}) from None
    except InvalidOption as error:
        raise InvalidRequest.of(error) from None
    except KeyReused as error:
        raise InvalidRequest({"idempotencyKey": [str(error)]}) from None
    except NotUnique as error:
        abort(HTTPStatus.CONFLICT, f"{error}.")
    log.info("[api] Enqueued", extra={"jobId": job_id, "apiKey": key.prefix})
    status = HTTPStatus.OK if job_id.existed else HTTPStatus.ACCEPTED
    may_look = not job_id.existed or "read" in key.scopes
    link = status_url(job_id) if may_look else None
    body = {"jobId": job_id, "existed": job_id.existed, "statusUrl": link}
    body["enqueuedAs"] = job_id.enqueued_as
    return body, status, {"Location": f"/api/jobs/{job_id}"}


@bp.get("/jobs")
@documented(
    Operation(
        summary="List jobs, newest first",
        scopes=("read",),
        query=schemas.FilterSchema,
        answers={200: schemas.PageSchema},
        problems=(401, 403, 422, 429, 503),
    )
)
def list_page() -> ResponseReturnValue:
    """Answer one page; its `after` requests the next."""
    key = authorise("read")
    given = request_parsing.query(schemas.FilterSchema)
    _bind(given, key)
    if key.organization_id is not None and "error" in given:
        forbid("error: a key of one organization cannot search error messages.")
    after, limit = given.pop("after", None), given.pop("limit")
    if "tag" in given:
        given["tags"] = (given.pop("tag"),)
    if "batch_id" in given:
        given["batch_id"] = str(given["batch_id"])
    with translate_database_errors():
        _check_type(given.get("job_type"))
        try:
            page = list_jobs(Filter(**given), after=after, limit=limit)
        except InvalidOption as error:
            raise InvalidRequest.of(error) from None
        searched_to = page.searched_to and page.searched_to.isoformat()
        jobs = [views.summary(row) for row in page.jobs]
    return {"jobs": jobs, "after": page.after, "searchedTo": searched_to}


@bp.get("/job-types")
@requires("read", "enqueue")
@documented(
    Operation(
        summary="List the job types",
        scopes=("read", "enqueue"),
        answers={200: schemas.JobTypesSchema},
        problems=(401, 403, 429, 503),
    )
)
def job_types() -> ResponseReturnValue:
    return {"jobTypes": [views.job_type(config) for config in registry_of(current_app)]}


@bp.errorhandler(InvalidRequest)
def _invalid_request(error: InvalidRequest) -> Response:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=error.errors)


def _take_header(given: dict[str, Any]) -> None:
    """Accept the idempotency key from the header, which must match the body's."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return
    try:
        header = header.encode("latin-1").decode()  # WSGI passes bytes as Latin-1
    except UnicodeError:
        raise InvalidRequest({"idempotencyKey": ["The header is not UTF-8."]}) from None
    if given.setdefault("idempotency_key", header) != header:
        raise InvalidRequest({"idempotencyKey": ["Differs from the header Idempotency-Key."]})


def _bind(given: dict[str, Any], key: Key) -> None:
    """Restrict a key to its organization and its job types."""
    if key.organization_id is not None:
        if given.get("organization_id") not in {None, key.organization_id}:
            forbid(f"organizationId: this key is only for organization {key.organization_id}.")
        given["organization_id"] = key.organization_id
    if "type" in given and key.job_types is not None and given["type"] not in key.job_types:
        forbid(f"type: this key may enqueue only {', '.join(key.job_types)}.")


def _check_type(name: str | None) -> None:
    """Reject a misspelt type, which would list nothing; old jobs may have a removed type."""
    if name is None or is_recorded(name):
        return
    try:
        get_job_config(name)
    except UnknownJobType as error:
        raise InvalidRequest({"type": [str(error)]}) from None
