"""What QStash calls besides the jobs: its callbacks, and the sweep on a schedule."""

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ..any_host import AnyHostBlueprint
from ..errors import DatabaseUnavailable, InvalidDelivery, PublishUnavailable
from ..events import JobDied, emit
from ..execute.delivery import signed
from ..outcome import Busy, Refused
from ..publish.qstash import CALLBACK, FAILURE_CALLBACK
from ..table import marks
from ..table.db import in_transaction
from . import external_attempts, given_up, sweep
from .given_up import GivenUpMessage, forward

log = logging.getLogger(__name__)

#: Where a schedule of QStash's asks for a sweep.
SWEEP = "/api/jobs/maintenance"

bp = AnyHostBlueprint("jobs", __name__)


# It carries the body of the job's delivery in base64, which makes it a third longer.
@bp.post(FAILURE_CALLBACK)
@partial(signed, room=2)
def failure_callback() -> ResponseReturnValue:
    """Mark the job of a message that QStash has given up dead, and tell who asked to be told."""
    try:
        letter = given_up.from_callback(request.get_data(), request.args.get("forward"))
        result = in_transaction(lambda tx: given_up.record(tx, letter))
        if result.wait:
            return Busy("the job's handler is still running", result.wait).response()
        if result.dead:
            forward(letter)
    except InvalidDelivery as error:
        log.warning("[jobs] Failure callback rejected", extra={"error": str(error)})
        return Refused(str(error), error.errors).response()
    except (DatabaseUnavailable, PublishUnavailable) as error:
        log.error("[jobs] Failure callback postponed", extra={"error": str(error)})  # noqa: TRY400 - the message says it all
        return Busy("the database or QStash is unavailable").response()
    if result.changed and result.dead:
        emit(JobDied(letter.row["job_type"]))
        log.error("[jobs] Job given up by QStash", extra=_about(letter))
    if result.put_back:
        log.warning("[jobs] Job given up before it ran, put back", extra=_about(letter))
    return {"success": True, "jobId": letter.job_id, "changed": result.changed}


@bp.post(CALLBACK)
@signed
def callback() -> ResponseReturnValue:
    """Record how an attempt ended that a worker elsewhere made, and tell who asked to be told."""
    try:
        attempt = external_attempts.read_attempt(request.get_data(), request.args.get("forward"))
        wait = in_transaction(lambda tx: external_attempts.record(tx, attempt))
        if wait:
            return Busy("the job is about to be noted as published", wait).response()
        forward(attempt.letter, once=f"callback-{attempt.retried}")
    except InvalidDelivery as error:
        log.warning("[jobs] Callback rejected", extra={"error": str(error)})
        return Refused(str(error), error.errors).response()
    except (DatabaseUnavailable, PublishUnavailable) as error:
        log.error("[jobs] Callback postponed", extra={"error": str(error)})  # noqa: TRY400 - as above
        return Busy("the database or QStash is unavailable").response()
    log.info("[jobs] Job executed elsewhere", extra=_about(attempt.letter) | attempt.log_fields)
    return {"success": True, "jobId": attempt.letter.job_id}


@bp.post(SWEEP)
@signed
def run_sweep() -> ResponseReturnValue:
    """Sweep, as the schedule that `flask jobs schedules sync` installs asks."""
    try:
        report = sweep.sweep()
    except DatabaseUnavailable as error:
        log.error("[jobs] Sweep postponed", extra={"error": str(error)})  # noqa: TRY400 - as above
        return Busy("the database is unavailable").response()
    in_transaction(lambda tx: marks.count(tx, marks.SWEPT))
    return {"success": True, **asdict(report)}


def _about(letter: GivenUpMessage) -> dict[str, Any]:
    return {
        "jobId": letter.job_id,
        "type": letter.row["job_type"],
        "messageId": letter.message_id,
        "error": letter.error,
    }
