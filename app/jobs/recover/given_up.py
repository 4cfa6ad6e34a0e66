"""Messages that QStash has given up: read, recorded, and passed on to the job's own callback.

The failure callback's body is documented at https://upstash.com/docs/qstash/features/callbacks;
an entry of the dead-letter queue is brought into the same shape, so that both are read alike.
"""

import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from flask import current_app
from sqlalchemy import Connection

from ..errors import InvalidDelivery, InvalidOption, PublishRefused, PublishUnavailable
from ..execute.delivery import QSTASH_ID, firing_id
from ..outcome import BUSY, NOT_RUN
from ..publish import outbox
from ..registry import registry_of
from ..schemas import Envelope, load_envelope
from ..table import job_rows, memory, message_sql, missed, refusals
from ..table.models import Status
from ..values import callback_urls, jsonb

if TYPE_CHECKING:
    from qstash.dlq import DlqMessage

log = logging.getLogger(__name__)

MAX_QUOTED = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUpMessage:
    """A job's message that will not be delivered again.

    Attributes:
        row: The columns of the job as the message tells them, for one that was never seen here.
        was_turned_away: The last try was answered by this app that it could not run the job then.
        report: What QStash's failure callback says of it.
        forward_to: The failure callback that the job was enqueued with.
    """

    job_id: str
    message_id: str
    error: str
    row: dict[str, Any]
    was_turned_away: bool
    report: str
    forward_to: str | None


@dataclass(frozen=True, slots=True)
class GiveUpResult:
    """What became of the row.

    Attributes:
        dead: The job is failed and dead now, or was before.
        put_back: The job is to be published again: it was given up without being run.
        wait: For how many seconds its handler may still run.
    """

    changed: bool = False
    dead: bool = False
    put_back: bool = False
    wait: float = 0


def from_callback(body: bytes, forward_to: str | None) -> GivenUpMessage:
    """Read the body of QStash's failure callback.

    An address or a proxy may have answered with anything: what cannot be stored is replaced, or it
    would keep the job from its end.

    Raises:
        InvalidDelivery: It is none, or its message was no job.
    """
    try:
        report = jsonb.clean(jsonb.loads(body.decode()))
    except ValueError as error:
        raise InvalidDelivery(f"the body is not JSON in UTF-8: {error}") from error
    if not isinstance(report, dict):
        raise InvalidDelivery("the body is not a JSON object")
    return _read(report, forward_to)


def from_queue(letter: "DlqMessage") -> GivenUpMessage:
    """Read an entry of the dead-letter queue; raises as `from_callback` does."""
    try:
        query = parse_qs(urlsplit(letter.failure_callback or "").query)
    except ValueError:
        query = {}  # not one of ours
    return _read(_report(letter), query.get("forward", [None])[0])


def forward(letter: GivenUpMessage, *, once: str = "failure-callback") -> None:
    """Publish QStash's report to the job's own callback of that kind, if it has one.

    Through QStash, so that it is signed and retried like any callback of its own. Where it goes is
    checked again, as the host name may resolve to another address by now.

    Raises:
        PublishUnavailable: QStash cannot be reached at the moment, or the name not be looked up.
    """
    if letter.forward_to is None:
        return
    request: dict[str, Any] = {
        "url": letter.forward_to,
        "body": letter.report,
        "content_type": "application/json",
        # A callback may come twice; what it sets off must not.
        "deduplication_id": outbox.publisher().own(f"{once}-{letter.message_id.replace(':', '-')}"),
    }
    try:
        callback_urls.check_again("failure_callback", letter.forward_to)
        outbox.publisher().call(lambda qstash: qstash.message.publish(**request))
    except (callback_urls.Unresolved, callback_urls.UnknownHost) as error:
        raise PublishUnavailable(str(error)) from None
    except (InvalidOption, PublishRefused) as error:
        about = {"jobId": letter.job_id, "url": letter.forward_to, "error": str(error)}
        log.error("[jobs] Failure callback rejected", extra=about)  # noqa: TRY400 - the message says it all


def record(connection: Connection, letter: GivenUpMessage) -> GiveUpResult:
    """Mark the job dead, unless it is final, waits for a newer message or still runs."""
    values = {"job_id": letter.job_id, "message_id": letter.message_id, "error": letter.error}
    most = current_app.config["JOBS_MAX_RESCHEDULES"]
    if (
        letter.was_turned_away
        and connection.execute(message_sql.PUT_BACK_UNRUN, {**values, "most": most}).rowcount
    ):
        return GiveUpResult(put_back=True)
    status = connection.execute(message_sql.GIVE_UP, values).scalar_one_or_none()
    if status is not None:
        return GiveUpResult(changed=True, dead=status == Status.FAILED)
    row = refusals.peek(connection, letter.job_id)
    if row is None:
        return _never_seen(connection, letter)
    runs = row.status == Status.PROCESSING and (row.lease_left or 0) > 0
    return GiveUpResult(dead=row.dead, wait=(row.lease_left or 0) if runs else 0)


def _never_seen(connection: Connection, letter: GivenUpMessage) -> GiveUpResult:
    """Record the job, dead as it is, unless it is unknown only because somebody deleted it.

    Nor where a sweep makes up for the firing: that is not lost then.
    """
    schedule_id = letter.row["schedule_id"]
    if memory.deleted(connection, [letter.job_id]):
        return GiveUpResult()
    if schedule_id is not None and missed.makes_up(connection, schedule_id):
        return GiveUpResult()
    job_rows.create_job_execution(connection, letter.row)
    return GiveUpResult(changed=True, dead=True)


def _read(report: dict[str, Any], forward_to: str | None) -> GivenUpMessage:
    message_id = report.get("sourceMessageId")
    if not isinstance(message_id, str) or not message_id:
        raise InvalidDelivery("the report names no message", {"sourceMessageId": ["Missing."]})
    error = _error(report)
    row = _row(_source(report), message_id, report.get("scheduleId"))
    now = datetime.now(UTC)
    dead = {"status": Status.FAILED, "error": error, "dead_at": now, "completed_at": now}
    try:
        said = jsonb.dumps(report)
    except ValueError as odd:
        raise InvalidDelivery(f"the report is not JSON: {odd}") from odd
    return GivenUpMessage(
        job_id=row["job_id"],
        message_id=message_id,
        error=error,
        row=row | dead | {"published_at": now},
        was_turned_away=_was_turned_away(report),
        report=said,
        forward_to=forward_to,
    )


def _error(report: dict[str, Any]) -> str:
    """Say what QStash saw last."""
    retried, status = report.get("retried"), report.get("status")
    times = f" after {retried + 1} attempts" if type(retried) is int and retried > 0 else ""
    if type(status) is not int or status <= 0:
        return f"QStash gave up{times}: the last got no answer"
    said = jsonb.clean_text(_decoded(report, "body").decode(errors="replace")).strip()
    quoted = f": {said[:MAX_QUOTED]}" if said else ""
    return f"QStash gave up{times}: the last was answered {status}{quoted}"


def _was_turned_away(report: dict[str, Any]) -> bool:
    headers = report.get("header")
    names = {str(name).lower() for name in headers} if isinstance(headers, dict) else set()
    return report.get("status") == BUSY and NOT_RUN.lower() in names


def _source(report: dict[str, Any]) -> dict[str, Any]:
    """Return the envelope that the message carried."""
    try:
        raw = jsonb.loads(_decoded(report, "sourceBody").decode())
        jsonb.dumps(raw)
    except ValueError as error:
        raise InvalidDelivery(f"sourceBody is not JSON in UTF-8: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidDelivery("sourceBody is not a JSON object")
    return raw


def _decoded(report: dict[str, Any], name: str) -> bytes:
    value = report.get(name)
    try:
        return b64decode(value or "", validate=True)
    except (TypeError, ValueError) as error:
        raise InvalidDelivery(f"{name} is not base64", {name: [str(error)]}) from error


def _row(raw: dict[str, Any], message_id: str, schedule_id: object) -> dict[str, Any]:
    envelope = load_envelope(raw)
    # What QStash reports it signs, so its schedule's id can be trusted here.
    is_firing = isinstance(schedule_id, str) and QSTASH_ID.fullmatch(schedule_id)
    job_id = firing_id(message_id) if is_firing else envelope.job_id
    if job_id is None:
        raise InvalidDelivery("the envelope is broken", {"jobId": ["Missing."]})
    return {
        "job_id": job_id,
        "job_type": envelope.type,
        "payload": {**raw, "jobId": job_id},
        "user_id": envelope.metadata.user_id,
        "organization_id": envelope.metadata.organization_id,
        "message_id": message_id,
        "schedule_id": str(schedule_id) if schedule_id else None,
        "tags": _tags(envelope),
    }


def _tags(envelope: Envelope) -> list[str] | None:
    if envelope.metadata.tags is not None:
        return list(envelope.metadata.tags) or None
    of_type = (one.tags for one in registry_of(current_app) if one.type == envelope.type)
    return list(next(of_type, ())) or None


def _report(letter: "DlqMessage") -> dict[str, Any]:
    """Say of an entry what QStash's failure callback says of a message."""
    report = {
        "status": letter.response_status,
        "header": letter.response_headers or {},
        "body": letter.response_body_base64 or _encoded(letter.response_body),
        # Nothing tells how often it was tried: QStash gives up early where no retry can help.
        "maxRetries": letter.max_retries,
        "sourceMessageId": letter.message_id,
        "url": letter.url,
        "method": letter.method,
        "sourceHeader": letter.headers or {},
        "sourceBody": letter.body_base64 or _encoded(letter.body),
        "notBefore": letter.not_before,
        "createdAt": letter.created_at,
        "scheduleId": letter.schedule_id,
        "dlqId": letter.dlq_id,
    }
    known = {key: value for key, value in report.items() if value is not None}
    try:
        cleaned: dict[str, Any] = jsonb.clean(known)
    except ValueError as error:
        raise InvalidDelivery(f"the dead letter is not JSON: {error}") from error
    return cleaned


def _encoded(value: str | None) -> str:
    return b64encode(jsonb.clean_text(value or "").encode()).decode()
