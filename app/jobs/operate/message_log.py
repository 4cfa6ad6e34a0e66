"""What QStash knows of a job's messages, with deliveries that never reached the app.

Asked when somebody looks, within the time of a publish
(https://upstash.com/docs/qstash/api/events/list).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from ..errors import PublishRefused, PublishUnavailable
from ..publish import outbox
from ..table.models import JobExecution, Status
from ..values.jsonb import bounded

#: The newest messages of a job, and entries about them, that are asked for.
MESSAGES, ENTRIES = 20, 200
#: Bytes of an error or an answer that are kept.
LONGEST = 2 * 1024
#: Seconds by which QStash's clock may differ from ours, and a delivery last before it is noted.
APART = 5.0

_FAILED = {"ERROR", "FAILED"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of QStash's log.

    Attributes:
        state: In QStash's words: CREATED, ACTIVE, RETRY, ERROR, DELIVERED, FAILED or CANCELED.
        status: The HTTP status that it got; None where there was no answer.
        said: Its error, or else the answer's body.
        next_at: When it delivers again.
        never_arrived: It tells of a failed delivery to which no attempt of the job belongs.
    """

    at: datetime
    message_id: str
    state: str
    status: int | None
    said: str
    next_at: datetime | None
    never_arrived: bool


def message_ids(row: JobExecution) -> list[str]:
    """Return QStash's ids of a job's messages, as far as its row knows them, the newest first."""
    kept = [row.message_id, *(one.get("message_id") for one in reversed(row.attempts))]
    return list(dict.fromkeys(one for one in kept if isinstance(one, str)))[:MESSAGES]


def entries(row: JobExecution) -> list[Entry]:
    """Return what QStash has logged of a job's messages, the oldest first.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell.
    """
    ids = message_ids(row)
    if not ids:
        return []
    query = urlencode([*(("messageIds", one) for one in ids), ("count", str(ENTRIES))])
    answer = outbox.publisher().call(
        lambda qstash: qstash.http.request(path=f"/v2/events?{query}", method="GET")
    )
    try:
        found = [_entry(one, row) for one in answer["events"] if one["messageId"] in ids]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise PublishUnavailable("QStash's log is not of a form that is known here") from error
    return sorted(found, key=lambda one: one.at)


def next_try(row: JobExecution) -> datetime | None:
    """Return when QStash delivers a retrying job again; None where it does not tell."""
    if row.status != Status.FAILED or row.is_final:
        return None
    try:
        known = [one.next_at for one in entries(row) if one.next_at is not None]
    except (PublishUnavailable, PublishRefused):
        return None
    return known[-1] if known and known[-1] > datetime.now(UTC) else None


def _entry(told: dict[str, Any], row: JobExecution) -> Entry:
    at, status = _moment(told["time"]), told.get("responseStatus") or None
    said = str(told.get("error") or told.get("responseBody") or "")
    following = told.get("nextDeliveryTime")
    return Entry(
        at=at,
        message_id=str(told["messageId"]),
        state=str(told["state"]),
        status=status if isinstance(status, int) else None,
        said=bounded(said, LONGEST),
        next_at=_moment(following) if following else None,
        never_arrived=told["state"] in _FAILED and not _has_attempt(row, told["messageId"], at),
    )


def _has_attempt(row: JobExecution, message_id: str, at: datetime) -> bool:
    """Tell whether an attempt by this message ended about then, or was lost before."""
    return any(
        attempt.get("message_id") == message_id and _is_about(attempt, at)
        for attempt in row.attempts
    )


def _is_about(attempt: dict[str, Any], at: datetime) -> bool:
    try:
        began = datetime.fromisoformat(attempt["started_at"])
        seconds = (at - began).total_seconds() - attempt.get("duration_ms", 0) / 1000
    except (KeyError, TypeError, ValueError):
        return False
    is_lost = attempt.get("outcome") == "lost"
    return seconds > -APART and (is_lost or seconds < APART)


def _moment(milliseconds: Any) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
