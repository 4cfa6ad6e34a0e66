"""Schedules that stopped firing: they fired before, are due again, and no job came.

When a schedule fired last is in the table, and how often it should is in its cron: that of the
code, or the one that each firing brings along. Only if one is missing is QStash asked whether it
still has it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import current_app
from sqlalchemy import text

from .. import schedules
from ..errors import PublishError
from ..table.by_hand import FIRED
from ..table.db import in_transaction
from ..table.marks import FIRING
from ..values.cron import next_after

#: How many schedules are looked at, so that what this costs has an end.
LIMIT = 200
#: By how much QStash's clock may be ahead: a job that comes a little early is that of its time.
CLOCKS = timedelta(minutes=1)

# Steps from schedule to schedule through the index, however many jobs each has. Firings that leave
# no row have a mark; jobs that somebody ran are no firings.
LATEST = text(
    f"""
    WITH RECURSIVE latest AS (
        (SELECT schedule_id, created_at, payload->'metadata'->>'cron' AS cron
           FROM job_executions WHERE schedule_id IS NOT NULL AND {FIRED}
          ORDER BY schedule_id, created_at DESC, id DESC LIMIT 1)
        UNION ALL
        SELECT following.* FROM latest, LATERAL (
            SELECT schedule_id, created_at, payload->'metadata'->>'cron' AS cron
              FROM job_executions
             WHERE schedule_id > latest.schedule_id AND {FIRED}
             ORDER BY schedule_id, created_at DESC, id DESC LIMIT 1) AS following)
    SELECT schedule_id, max(created_at) AS created_at, max(cron) AS cron, now() AS now
      FROM ((SELECT schedule_id, created_at, cron FROM latest LIMIT :limit)
            UNION ALL
            SELECT substr(name, {len(FIRING) + 1}), at, details->>'cron' FROM job_marks
             WHERE name LIKE '{FIRING}%') AS firing
     GROUP BY schedule_id
    """  # noqa: S608 - our own names
)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A schedule without the job that was due.

    Attributes:
        fired_at: When its last job came.
        due_at: When the next should have come.
    """

    schedule_id: str
    fired_at: datetime
    due_at: datetime


def stopped() -> list[Stopped]:
    """Return the schedules whose job has been due for more than JOBS_HEALTH_OVERDUE seconds.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    rows = in_transaction(lambda tx: tx.execute(LATEST, {"limit": LIMIT}).all())
    crons = schedules.declared_crons() if rows else {}
    found = []
    for row in rows:
        cron = crons.get(row.schedule_id, row.cron)
        late = _late(row.schedule_id, cron, row.created_at, row.now)
        if late:
            found.append(late)
    return _as_qstash_says(found, rows[0].now) if found else []


def _late(
    schedule_id: str, cron: object, fired_at: datetime, now: datetime, delay: int = 0
) -> Stopped | None:
    wait = timedelta(seconds=delay)
    due_at = next_after(cron, fired_at - wait + CLOCKS) if isinstance(cron, str) else None
    patience = timedelta(seconds=current_app.config["JOBS_HEALTH_OVERDUE"])
    if due_at is None or due_at + wait + patience >= now:
        return None
    return Stopped(schedule_id, fired_at, due_at + wait)


def _as_qstash_says(found: list[Stopped], now: datetime) -> list[Stopped]:
    """Leave out those that QStash has no more, that are paused, or that it has otherwise."""
    try:
        installed = {one.schedule_id: one for one in schedules.installed()}
    except PublishError:
        return found
    late = []
    for one in found:
        known = installed.get(one.schedule_id)
        if known is not None and not known.paused:
            made_at = datetime.fromtimestamp(known.created_at / 1000, UTC)
            since = max(one.fired_at, made_at)
            late.append(_late(one.schedule_id, known.cron, since, now, known.delay or 0))
    return [one for one in late if one is not None]
