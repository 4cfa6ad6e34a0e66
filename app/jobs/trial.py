"""A handler run by hand, without QStash and without a record."""

from time import monotonic
from typing import Any
from uuid import uuid4

from app.db import db
from app.jobs import outcome, payloads, redaction, sealing
from app.jobs.context import Job, current_job
from app.jobs.deadline import time_limit
from app.jobs.errors import JobTimeout, PermanentError
from app.jobs.registry import get_job_config


def run_handler(job_type: str, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Validate the payload, run the handler under its time limit and commit its work.

    Raises:
        UnknownJobType, InvalidPayload: As for `enqueue`.
        PermanentError: The handler ran out of time.
        Exception: Whatever the handler raises.
    """
    config = get_job_config(job_type)
    redaction.remember(sealing.clear_texts(config.sealed, payload))
    loaded = payloads.load_given(config, payload)
    job = Job(
        id=str(uuid4()),
        type=job_type,
        attempt=1,
        generation=0,
        expires_at=monotonic() + config.timeout,
    )
    running = current_job.set(job)
    try:
        with time_limit(job.expires_at):
            result = outcome.completed(config.handler(loaded, job)).result
            db.session.commit()
    except JobTimeout as error:
        raise PermanentError(outcome.timed_out(config.timeout).error) from error
    finally:
        current_job.reset(running)
    return result
