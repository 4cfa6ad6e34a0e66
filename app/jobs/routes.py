"""What QStash calls besides the jobs: its failure callback."""

import logging
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app.jobs import dead_letters, outbox, outcome
from app.jobs.dead_letters import DeadLetter
from app.jobs.errors import DatabaseUnavailable, InvalidDelivery, PublishRefused, PublishUnavailable
from app.jobs.publisher import FAILURE_CALLBACK
from app.jobs.signature import signed
from app.jobs.transactions import in_transaction

log = logging.getLogger(__name__)

bp = Blueprint("jobs", __name__)


@bp.post(FAILURE_CALLBACK)
@signed
def failure_callback() -> ResponseReturnValue:
    """Mark the job of a message that QStash has given up dead, and tell who asked to be told."""
    try:
        letter = dead_letters.from_callback(request.get_data(), request.args.get("forward"))
        verdict = in_transaction(lambda tx: dead_letters.record(tx, letter))
        if verdict.wait:
            return outcome.busy("the job's handler is still running", verdict.wait)
        forward(letter)
    except InvalidDelivery as error:
        log.warning("[jobs] Failure callback refused", extra={"error": str(error)})
        return outcome.refuse(str(error), errors=error.errors)
    except (DatabaseUnavailable, PublishUnavailable) as error:
        log.error("[jobs] Failure callback put off", extra={"error": str(error)})  # noqa: TRY400 - the message says it all
        return outcome.busy("the database or QStash is unavailable")
    if verdict.changed:
        log.error("[jobs] Job given up by QStash", extra=_about(letter))
    return {"success": True, "jobId": letter.job_id, "changed": verdict.changed}


def forward(letter: DeadLetter) -> None:
    """Publish QStash's report to the failure callback that the job was enqueued with.

    Through QStash, so that it is signed and retried like any callback of its own.

    Raises:
        PublishUnavailable: QStash cannot be reached at the moment.
    """
    if letter.forward_to is None:
        return
    request: dict[str, Any] = {
        "url": letter.forward_to,
        "body": letter.report,
        "content_type": "application/json",
        # A failure callback may come twice; what it sets off must not.
        "deduplication_id": f"failure-callback-{letter.message_id.replace(':', '-')}",
    }
    try:
        outbox.publisher().ask(lambda qstash: qstash.message.publish(**request))
    except PublishRefused as error:
        about = {**_about(letter), "url": letter.forward_to, "error": str(error)}
        log.error("[jobs] Failure callback refused by QStash", extra=about)  # noqa: TRY400 - the message says it all


def _about(letter: DeadLetter) -> dict[str, Any]:
    return {
        "jobId": letter.job_id,
        "type": letter.row["job_type"],
        "messageId": letter.message_id,
        "error": letter.error,
    }
