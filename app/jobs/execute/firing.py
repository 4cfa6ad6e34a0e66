"""The first delivery of a schedule's firing: when it was due, and what the schedule's rules say.

A firing is skipped, put off or made a job of in one transaction, with the schedule's row locked.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from ..errors import PublishError
from ..outcome import Skipped
from ..publish import outbox
from ..table import firings, job_rows
from ..table.attempts import Attempt
from ..table.deliveries import Delivery
from ..table.firings import Firing, Kept
from ..values.cron import last_before
from ..values.firing_rules import MOST_WAITING, Rules
from .pausing import Deferred


@dataclass(frozen=True, slots=True)
class FiringSkipped(Skipped):
    """The rules of its schedule leave this firing out, which is noted with the reason."""

    label = "skipped"
    event = "[jobs] Firing skipped"
    logged = ("scheduleId", "reason")

    reason: str = ""
    scheduleId: str = ""  # noqa: N815 - as the log line has it


@dataclass(frozen=True, slots=True)
class PutOff(Deferred):
    """Another message runs the firing: later, or when those before it have ended."""

    event = "[jobs] Firing put off"


def placed(attempt: Attempt) -> Delivery:
    """Return a firing's delivery with the moment that its cron named.

    It is the last one before QStash made the message. When that was, QStash is asked if a rule
    hangs on it: what is tried again, or has waited in a queue, comes later. A first try that comes
    while QStash's API does not answer is taken to have come at once.

    Raises:
        PublishUnavailable, PublishRefused: QStash cannot tell.
    """
    delivery, rules = attempt.delivery, attempt.delivery.rules or Rules()
    if delivery.cron is None:
        return delivery
    made_at, is_retry, counts = None, delivery.retried > 0, rules.catch_up != "none"
    if delivery.message_id and (counts or (rules and is_retry)):
        made_at = _made_at(delivery.message_id, needed=is_retry and counts)
    if made_at is None:
        issued = delivery.token.issued_at
        made_at = datetime.now(UTC) if issued is None else datetime.fromtimestamp(issued, UTC)
        made_at -= timedelta(seconds=rules.delay)
    return replace(delivery, scheduled_for=last_before(delivery.cron, made_at))


def arrive(tx: Connection, attempt: Attempt) -> Skipped | None:
    """Do as the rules of a firing's schedule say; None where it is to run now.

    Otherwise its row, if it is to have one, waits in the outbox.
    """
    delivery = attempt.delivery
    rules, schedule_id, due = delivery.rules, delivery.schedule_id, delivery.scheduled_for
    if rules is None or schedule_id is None or due is None:
        return None
    kept = Kept(schedule_id, str(delivery.cron), rules.given, {})
    schedule = firings.meet(tx, kept, since=due)
    found = firings.find(tx, schedule_id, due)
    if found is not None and found.outcome in {"caught up", "missed"}:
        firings.spend(tx, attempt)
        return FiringSkipped(found.outcome, _said(found), schedule_id)
    firings.note(tx, schedule_id, due, outcome="fired", job_id=delivery.job_id)
    before = None
    if rules.overlap != "allow":
        before = firings.run_before(tx, schedule_id, delivery.job_id)
    if before is not None and (reason := _no_room(tx, rules, schedule_id, before)):
        firings.skip(tx, attempt, reason)
        return FiringSkipped("overlap", reason, schedule_id)
    job_rows.create_job_execution(tx, _row(attempt, schedule.options))
    later = due + timedelta(seconds=rules.delay + rules.put_off(schedule_id, due))
    return _put_off(tx, attempt, before, later)


def _no_room(tx: Connection, rules: Rules, schedule_id: str, before: Row[Any]) -> str | None:
    """Return why a firing can neither run nor wait while one before it does."""
    if rules.overlap == "skip":
        return still(before)
    if firings.length_of_line(tx, schedule_id) < MOST_WAITING:
        return None
    return f"{still(before)}, and {MOST_WAITING} firings wait for their turn already"


def _put_off(
    tx: Connection, attempt: Attempt, before: Row[Any] | None, later: datetime
) -> PutOff | None:
    """Leave a firing's row in the outbox, if it is to wait for a run before it, or for a time."""
    is_early = later > datetime.now(UTC) + timedelta(seconds=1)
    if before is None and not is_early:
        return None
    at = later if is_early else None
    firings.put_off(tx, attempt, available_at=at, in_line=before is not None)
    return PutOff("deferred", still(before) if before is not None else f"until {later:%H:%M:%S}")


def _row(attempt: Attempt, options: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a firing's job, with the options that its schedule was made with."""
    delivery, own = attempt.delivery, dict(options)
    if delivery.rules and delivery.rules.expires and delivery.scheduled_for:
        until = delivery.scheduled_for + timedelta(seconds=delivery.rules.expires)
        own["expires"] = until.isoformat()
    own.pop("delay", None)
    return {**attempt.row, "options": own, "queue": own.get("queue")}


def skip_paused(tx: Connection, attempt: Attempt) -> None:
    """Note that a firing was left out as the one before it waits for a pause to end."""
    if attempt.delivery.rules is not None and attempt.delivery.scheduled_for is not None:
        firings.skip(tx, attempt, "its jobs are paused, and the firing before waits")


def _said(found: Firing) -> str:
    if found.job_id is not None:
        return f"job {found.job_id} has made up for it"
    return found.reason or f"it was {found.outcome}"


def still(before: Row[Any]) -> str:
    """Say that a run of a schedule has not ended."""
    due = before.scheduled_for
    of = f" of {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if due else ""
    return f"job {before.job_id}{of} {'runs' if before.status == 'processing' else 'waits'} still"


def _made_at(message_id: str, *, needed: bool) -> datetime | None:
    """Return when QStash made a message; None if it does not say, and that is not needed."""
    try:
        message = outbox.publisher().call(lambda qstash: qstash.message.get(message_id))
    except PublishError:
        if needed:
            raise
        return None
    return datetime.fromtimestamp(message.created_at / 1000, UTC)
