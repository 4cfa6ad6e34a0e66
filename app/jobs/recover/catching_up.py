"""Firings that were missed as QStash or this app was down, made up for (`catch_up`).

The moments that a schedule's cron has named since it is known are compared with what became of its
firings. Only if one is missing is QStash asked whether it has the schedule still, and has not been
told to pause it. A firing has one row by its moment, so whatever comes of it late (QStash's own
message, another sweep) finds that, and does nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from flask import current_app
from sqlalchemy import Connection, Row

from ..errors import InvalidDelivery
from ..execute.firing import still
from ..execute.unique_firing import not_needed
from ..payload import loading
from ..publish import outbox, relay, turns
from ..registry import JobConfig, get_job_config
from ..schemas import Envelope, load_envelope
from ..table import firings, job_rows, missed, unique
from ..table.db import in_transaction
from ..values import jsonb
from ..values.cron import due_between
from ..values.firing_rules import LONGEST_CAUGHT_UP, MOST_CAUGHT_UP, Rules
from .report import SweepReport

if TYPE_CHECKING:
    from qstash.schedule import Schedule

log = logging.getLogger(__name__)

#: A schedule that has missed nothing for so long is looked at from then on.
_ACCOUNTED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A schedule's firings of which nothing is known.

    Attributes:
        schedule: Its row in `job_schedules`.
        missing: Their moments, in order, of those that should have come by now.
        late: Those of them that have been due for long enough to count as missed.
    """

    schedule: Row[Any]
    missing: Sequence[datetime]
    late: Sequence[datetime]


def catch_up(report: SweepReport) -> None:
    """Make up for what was missed; of each schedule in a transaction of its own.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell which schedules it has.
    """
    gaps = [gap for row in in_transaction(missed.to_catch_up) if (gap := _gap(row)) is not None]
    if not gaps:
        return
    found = outbox.publisher().call(lambda qstash: qstash.schedule.list())
    installed = {schedule.schedule_id: schedule for schedule in found}
    for gap in gaps:
        at_qstash = installed.get(gap.schedule.schedule_id)
        job_ids = in_transaction(lambda tx, gap=gap, at=at_qstash: _settle(tx, gap, at))  # type: ignore[misc]  # mypy cannot infer a default's type
        if not job_ids:
            continue
        report.caught_up += len(job_ids)
        about = {"scheduleId": gap.schedule.schedule_id, "jobIds": job_ids}
        log.warning("[jobs] Missed firings made up for", extra=about)
        rows = in_transaction(lambda tx, ids=job_ids: missed.rows_of(tx, ids))  # type: ignore[misc]  # as above
        relay.publish(rows)
        turns.publish_next(gap.schedule.schedule_id)


def _gap(schedule: Row[Any]) -> Gap | None:
    """Return what is missing of a schedule, if any of it is late."""
    now = schedule.now
    rules = Rules(jitter=schedule.rules.get("jitter", 0), delay=schedule.rules.get("delay", 0))
    patience = timedelta(seconds=current_app.config["JOBS_HEALTH_OVERDUE"] + rules.delay)
    since = max(schedule.accounted_until, now - LONGEST_CAUGHT_UP)
    due = due_between(schedule.cron, since, now - timedelta(seconds=rules.delay))
    late = [moment for moment in due if moment <= now - patience]
    if not late:
        return None
    known = in_transaction(lambda tx: missed.recorded(tx, schedule.schedule_id, since))
    if all(moment in known for moment in late):
        if now - since > _ACCOUNTED_AFTER:
            given = schedule.schedule_id, late[-1], schedule.cron
            in_transaction(lambda tx: missed.account(tx, *given))
        return None
    missing = [moment for moment in due if moment not in known]
    return Gap(schedule=schedule, missing=missing, late=[one for one in late if one not in known])


def _settle(tx: Connection, gap: Gap, at_qstash: "Schedule | None") -> list[str]:
    """Record the jobs that make up for a gap, unless it is none; return their ids."""
    schedule_id = gap.schedule.schedule_id
    row = firings.lock(tx, schedule_id)
    if row is None or row.accounted_until != gap.schedule.accounted_until:
        return []  # another sweep has seen to it, or a person
    sent = None if at_qstash is None else _body(at_qstash)
    if at_qstash is None or sent is None:
        firings.drop(tx, schedule_id)
        return []
    if at_qstash.paused or at_qstash.cron != row.cron:
        missed.account(tx, schedule_id, gap.schedule.now, at_qstash.cron)
        return []
    if sent[1].type not in relay.known_types():
        return []  # newer code may know it
    made_at = datetime.fromtimestamp(at_qstash.created_at / 1000, UTC)
    chosen, left = _chosen(gap, row.rules["catchUp"], since=made_at)
    job_ids = _runs(tx, row, sent, chosen)
    about = {"job_id": job_ids[-1] if job_ids else None, "reason": "QStash did not bring it"}
    for moment in left:
        firings.note(tx, schedule_id, moment, outcome="missed", **about)
    missed.account(tx, schedule_id, gap.late[-1], row.cron)
    return job_ids


def _runs(
    tx: Connection,
    row: Row[Any],
    sent: tuple[dict[str, Any], Envelope],
    chosen: Sequence[datetime],
) -> list[str]:
    """Record the jobs of the chosen firings, as the rules have them; return their ids."""
    schedule_id, overlap = row.schedule_id, row.rules.get("overlap", "allow")
    before = firings.run_before(tx, schedule_id, "") if overlap == "skip" else None
    if before is not None:
        for moment in chosen:
            reason = f"no job makes up for it, as {still(before)}"
            firings.note(tx, schedule_id, moment, outcome="missed", reason=reason)
        return []
    made = [job_id for one in chosen if (job_id := _make_up(tx, row, sent, one)) is not None]
    missed.place(tx, made, in_line=overlap == "queue", schedule_id=schedule_id)
    return made


def _chosen(
    gap: Gap, which: str, *, since: datetime
) -> tuple[Sequence[datetime], Sequence[datetime]]:
    """Return which of the missing firings get a job, and for which one of these stands."""
    if which == "all":
        late = [moment for moment in gap.late if moment > since]
        return late[-MOST_CAUGHT_UP:], late[:-MOST_CAUGHT_UP]
    missing = [moment for moment in gap.missing if moment > since]
    return missing[-1:], missing[:-1]


def _make_up(
    tx: Connection, row: Row[Any], sent: tuple[dict[str, Any], Envelope], moment: datetime
) -> str | None:
    """Record the job of one missed firing; return its id, None where somebody was faster."""
    schedule_id, (raw, envelope) = row.schedule_id, sent
    of = envelope.metadata.schedule
    rules = of.rules if of else Rules()
    job_id = str(uuid5(NAMESPACE_URL, f"qstash:{schedule_id} {moment.isoformat()}"))
    if not firings.note(tx, schedule_id, moment, outcome="caught up", job_id=job_id):
        return None
    config, tags = get_job_config(envelope.type), envelope.metadata.tags
    options = row.options or config.options_with({})
    job_rows.create_job_execution(
        tx,
        {
            "job_id": job_id,
            "job_type": envelope.type,
            "payload": {**raw, "jobId": job_id},
            "user_id": envelope.metadata.user_id,
            "organization_id": envelope.metadata.organization_id,
            "schedule_id": schedule_id,
            "scheduled_for": moment,
            "tags": list(config.tags if tags is None else tags) or None,
            "queue": options.get("queue"),
            "max_retries": options["retries"],
            "options": {name: value for name, value in options.items() if name != "delay"},
            "available_at": _later(rules, schedule_id, moment),
        },
    )
    holder = _holder(tx, config, envelope, job_id)
    if holder is not None:
        reason = f"no job makes up for it, as {not_needed(holder)}"
        given = {"outcome": "missed", "job_id": job_id, "reason": reason}
        firings.leave_out(tx, schedule_id, moment, **given)
        return None
    return job_id


def _holder(tx: Connection, config: JobConfig, envelope: Envelope, job_id: str) -> str | None:
    """Give a job that is unique its key; return the job that has it already, and stands for it."""
    if config.unique is None:
        return None
    try:
        payload = loading.load_payload(config, envelope, job_id)
    except Exception:  # noqa: BLE001 - its own delivery says what is wrong with it
        return None
    wire = loading.dump(config.schema, payload)
    key = config.unique.key(config.type, envelope.metadata.organization_id, wire)
    return unique.take_key(tx, job_id, config.unique, key)


def _later(rules: Rules, schedule_id: str, moment: datetime) -> datetime | None:
    """Return until when what makes up for a firing is put off: by its own jitter, from now on."""
    seconds = rules.put_off(schedule_id, moment)
    return datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None


def _body(schedule: "Schedule") -> tuple[dict[str, Any], Envelope] | None:
    """Return what a schedule sends, as JSON and read; None if nobody is to make up for it."""
    try:
        raw = jsonb.loads(schedule.body or "")
        envelope = load_envelope(raw)
    except (InvalidDelivery, ValueError):
        return None
    of = envelope.metadata.schedule
    if of is None or of.id != schedule.schedule_id or of.rules.catch_up == "none":
        return None
    return raw, envelope
