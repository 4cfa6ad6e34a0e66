"""Errors to problem JSON (RFC 9457), registered once for the whole app."""

import logging
from http import HTTPStatus
from math import ceil
from time import time
from typing import Any

from flask import Flask, Response, json
from flask_limiter import RateLimitExceeded
from werkzeug.exceptions import HTTPException

from app.extensions import limiter
from app.jobs import (
    DatabaseUnavailable,
    InvalidOption,
    InvalidPayload,
    PublishRefused,
    UnknownJobType,
)

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RateLimitExceeded, _rate_limited)
    app.register_error_handler(InvalidPayload, _invalid_payload)
    app.register_error_handler(UnknownJobType, _bad_request)
    app.register_error_handler(InvalidOption, _bad_request)
    app.register_error_handler(DatabaseUnavailable, _unavailable)
    app.register_error_handler(PublishRefused, _refused)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, detail: str | None = None, **members: Any) -> Response:
    """Return a problem document; the caller sees `detail`."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return Response(json.dumps({**body, **members}), status, mimetype="application/problem+json")


def _http(error: HTTPException) -> Response:
    """Keep the headers of the exception's own response, such as Allow."""
    own = error.get_response()
    response = problem(own.status_code, error.description)
    for name, value in own.headers:
        if name not in {"Content-Type", "Content-Length"}:
            response.headers.add(name, value)
    return response


def _rate_limited(error: RateLimitExceeded) -> Response:
    response = problem(HTTPStatus.TOO_MANY_REQUESTS, f"At most {error.limit.limit} are allowed.")
    current = limiter.current_limit
    left = ceil(current.window.reset_time - time()) if current else 1
    response.headers["Retry-After"] = str(max(1, left))
    return response


def _invalid_payload(error: InvalidPayload) -> Response:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=error.errors)


def _bad_request(error: Exception) -> Response:
    return problem(HTTPStatus.BAD_REQUEST, str(error))


def _refused(error: PublishRefused) -> Response:
    """Report why QStash rejected a message: the job is recorded, and dead."""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def _unavailable(error: Exception) -> Response:
    log.error("Service unavailable", extra={"error": str(error)})
    job_ids = getattr(error, "job_ids", ())
    if job_ids:
        said = "The answer to the commit was lost: the jobs may have been recorded."
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, said, jobIds=list(job_ids))
    return problem(HTTPStatus.SERVICE_UNAVAILABLE)


def _unexpected(error: Exception) -> Response:
    """Reveal nothing about the error: it is in the log."""
    log.error("Unexpected error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR)
