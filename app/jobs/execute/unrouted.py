"""Deliveries for a path that this process does not have: it runs older code than the producer.

QStash tries again, and the next answer may come from a process with the new code. Until then the
job is pending, and its row says why.
"""

import json
import logging
from contextlib import suppress
from http import HTTPStatus

from flask import Flask, Response, request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ..errors import DatabaseUnavailable, InvalidSignature
from ..table.db import in_transaction
from .delivery import HEADER, BodyTooLarge, verify_request

log = logging.getLogger(__name__)

#: The second if the path exists with another method.
_UNKNOWN = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}

# A failed row keeps the error of its own attempt; a later delivery's outcome replaces this one.
_NOTE = text(
    """
    UPDATE job_executions SET error = :error, updated_at = clock_timestamp()
     WHERE job_id = :job_id AND status = 'pending'
    """
)


def init_app(app: Flask) -> None:
    app.after_request(_explain)


def _explain(response: Response) -> Response:
    if (
        request.routing_exception is not None
        and HEADER in request.headers
        and response.status_code in _UNKNOWN
    ):
        # If the note cannot be written, such as for an id of another form, the answer is the same.
        with suppress(InvalidSignature, BodyTooLarge, DatabaseUnavailable, SQLAlchemyError):
            verify_request()
            _note(response.status_code)
    return response


def _note(status: int) -> None:
    said = (
        f"a delivery to {request.path} was answered {status}: the running process has no such job"
        " type. If it is older than the code, restart it; QStash keeps trying"
    )
    job_id, job_type = _named(request.get_data())
    fields = {"path": request.path, "jobId": job_id, "type": job_type}
    log.warning(f"[jobs] {said[0].upper()}{said[1:]}", extra=fields)  # noqa: G004 - one text for both
    if job_id:
        in_transaction(lambda tx: tx.execute(_NOTE, {"error": said, "job_id": job_id}))


def _named(body: bytes) -> tuple[str | None, str | None]:
    """Return the job's id and type, if the body is an envelope."""
    try:
        envelope = json.loads(body)
        job_id, job_type = envelope.get("jobId"), envelope.get("type")
    except (ValueError, AttributeError, RecursionError):
        return None, None
    return (
        job_id if isinstance(job_id, str) and "\0" not in job_id else None,
        job_type if isinstance(job_type, str) else None,
    )
