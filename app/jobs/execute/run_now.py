"""Running a handler by hand, without QStash and without a row."""

from itertools import count
from time import monotonic
from typing import Any
from uuid import uuid4

from flask import current_app

from ..context import Job, current_job
from ..deadline import time_limit
from ..errors import HandlerExited, JobTimeout, PermanentError
from ..outcome import Completed, Continued
from ..payload import failures, loading, redaction, sealing
from ..registry import JobConfig, get_job_config
from ..table import audit
from ..table.db import db
from .executor import call_handler
from .raised import timed_out


def run_handler(
    job_type: str, payload: dict[str, Any], *, by: str | None = None
) -> dict[str, Any] | None:
    """Validate the payload, run the handler under its time limit and commit its work.

    A handler that raises `Continue` is run again, each leg with its own time limit and commit.

    Args:
        job_type: A registered name.
        payload: In clear.
        by: Who runs it, to be put on record before.

    Raises:
        UnknownJobType, InvalidPayload: As for `enqueue`.
        PermanentError: The handler ran out of time, or never stopped continuing.
        HandlerExited: It raised something other than an `Exception`, such as `SystemExit`.
        Exception: Whatever the handler raises.
    """
    config = get_job_config(job_type)
    redaction.remember(sealing.clear_texts(config.sealed, payload))
    try:
        return _run_legs(config, payload, by)
    except (Exception, KeyboardInterrupt):  # the latter comes from the terminal
        raise
    except BaseException as error:
        raise HandlerExited(failures.describe(error).error) from error


def _run_legs(config: JobConfig, payload: dict[str, Any], by: str | None) -> dict[str, Any] | None:
    loaded = loading.load_given(config, payload)
    if by is not None:
        audit.note("run", by=by, wanted={"job_type": config.type})
    job_id, state = str(uuid4()), None
    for leg in count(1):
        done = _run_leg(config, loaded, _job(config, job_id, leg, state))
        if isinstance(done, Completed):
            return done.result
        if leg >= current_app.config["JOBS_MAX_LEGS"]:
            raise PermanentError(done.too_many().error)
        state = done.state
    raise AssertionError("unreachable: legs are counted without end")


def _job(config: JobConfig, job_id: str, leg: int, state: dict[str, Any] | None) -> Job:
    return Job(
        id=job_id,
        type=config.type,
        attempt=leg,
        generation=0,
        expires_at=monotonic() + config.timeout,
        leg=leg,
        state=state,
    )


def _run_leg(config: JobConfig, payload: Any, job: Job) -> Completed | Continued:
    running = current_job.set(job)
    try:
        with time_limit(job.expires_at):
            done = call_handler(config, payload, job)
            db.session.commit()
    except JobTimeout as error:
        raise PermanentError(timed_out(config.timeout, error).error) from error
    finally:
        current_job.reset(running)
    return done
