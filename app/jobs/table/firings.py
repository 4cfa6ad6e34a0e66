"""The firings of schedules with rules: what became of each, and which of them run.

Whoever decides about a firing of a schedule has the schedule's row locked, so that of two at once
the second sees what the first has done. That a firing is done once, its table's key ensures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB

from ..values import jsonb
from .attempt_sql import handing_over
from .attempts import Attempt
from .by_hand import FIRED
from .job_rows import TO_PUBLISH
from .marks import FIRING
from .memory import MESSAGE, UNDELIVERED
from .pauses import HOLDING_DELIVERED, holding

#: Days for which it is known what became of a firing; longer than QStash brings one, or it is made
#: up for.
KEPT_DAYS = 40
#: In the column `pause`, the job waits for the run before it, of the schedule that follows.
TURN = "schedule:"

_FIRING = "schedule_id, scheduled_for, outcome, job_id, reason, noted_at"
#: Whether a job waits or runs; for one that somebody ran by hand no firing waits.
_ACTIVE = f"""
    (status IN ('pending', 'processing') OR (status = 'failed' AND dead_at IS NULL)) AND {FIRED}
"""
#: Whether it waits for its turn.
_IN_LINE = f"""
    status = 'pending' AND published_at IS NULL AND pause = '{TURN}' || CAST(:schedule_id AS text)
"""

_KEEP = text(
    """
    INSERT INTO job_schedules AS kept (schedule_id, cron, rules, options)
    VALUES (:schedule_id, :cron, CAST(:rules AS jsonb), CAST(:options AS jsonb))
    ON CONFLICT (schedule_id) DO UPDATE
       SET cron = excluded.cron, rules = excluded.rules, options = excluded.options,
           accounted_until = CASE WHEN kept.cron = excluded.cron THEN kept.accounted_until
                                  ELSE now() END
    """
)
_DROP = text("DELETE FROM job_schedules WHERE schedule_id = :schedule_id")
_LOCK = text("SELECT * FROM job_schedules WHERE schedule_id = :schedule_id FOR UPDATE").columns(
    rules=JSONB, options=JSONB
)
_MEET = text(
    """
    INSERT INTO job_schedules (schedule_id, cron, rules, accounted_until)
    VALUES (:schedule_id, :cron, CAST(:rules AS jsonb), :since)
    ON CONFLICT (schedule_id) DO NOTHING
    """
)
_FIND = text(
    f"""
    SELECT {_FIRING} FROM job_firings
     WHERE schedule_id = :schedule_id AND scheduled_for = :scheduled_for
    """  # noqa: S608 - the only values in the text are this module's
)
# QStash may bring a firing by two messages: where the first was skipped, the second may run.
_NOTE = text(
    """
    INSERT INTO job_firings AS known (schedule_id, scheduled_for, outcome, job_id, reason)
    VALUES (:schedule_id, :scheduled_for, :outcome, :job_id, :reason)
    ON CONFLICT (schedule_id, scheduled_for)
    DO UPDATE SET outcome = excluded.outcome, job_id = excluded.job_id, reason = excluded.reason
     WHERE known.outcome = 'skipped' AND excluded.outcome = 'fired'
    """
)
# Not where the other message has run.
_SKIP = text(
    """
    UPDATE job_firings SET outcome = :outcome, job_id = NULL, reason = :reason
     WHERE schedule_id = :schedule_id AND scheduled_for = :scheduled_for AND job_id = :job_id
    """
)
# A late repetition of its message is to bring nothing, and the schedule has fired.
_SPEND = text(
    f"""
    WITH marked AS (
        INSERT INTO job_marks (name, at, details)
        VALUES ('{FIRING}' || CAST(:schedule_id AS text), clock_timestamp(),
                jsonb_build_object('cron', CAST(:cron AS text)))
        ON CONFLICT (name) DO UPDATE SET at = excluded.at, details = excluded.details)
    INSERT INTO spent_tokens (digest, job_id, expires_at)
    SELECT {MESSAGE}, CAST(:job_id AS text), now() + interval '{UNDELIVERED} days'
     WHERE CAST(:message_id AS text) IS NOT NULL
    ON CONFLICT (digest) DO NOTHING
    """  # noqa: S608 - the only values in the text are this package's
)
_BEFORE = text(
    f"""
    SELECT job_id, status, scheduled_for FROM job_executions
     WHERE schedule_id = :schedule_id AND job_id <> :job_id AND {_ACTIVE}
     ORDER BY scheduled_for NULLS FIRST, id LIMIT 1
    """  # noqa: S608 - as above
)
# Those that make up for others are not counted, or after an outage there would be no room.
_LENGTH = text(
    f"""
    SELECT count(*) FROM job_executions WHERE {_IN_LINE} AND NOT EXISTS (
        SELECT FROM job_firings AS made_up
         WHERE made_up.schedule_id = :schedule_id AND made_up.outcome = 'caught up'
           AND made_up.scheduled_for = job_executions.scheduled_for)
    """  # noqa: S608 - as above
)

# The row of a firing that its own message does not run: back in the outbox, for another message.
_PUT_OFF = handing_over(
    f"""
    UPDATE job_executions
       SET pause = coalesce(CAST(:turn AS text), {HOLDING_DELIVERED}), message_id = NULL,
           published_at = NULL, available_at = :available_at, updated_at = now(),
           reschedules = reschedules + 1, put_backs = coalesce(put_backs, 0) + 1,
           max_retries = coalesce(max_retries, :retries)
     WHERE job_id = :job_id AND status = 'pending' AND attempts = CAST('[]' AS jsonb)
    RETURNING job_id
    """  # noqa: S608 - as above
)

# Of those that wait for their turn the first, if no other run of the schedule waits or runs.
_RELEASE = text(
    f"""
    UPDATE job_executions AS job SET pause = {holding("job")}, updated_at = now()
     WHERE job.pause = '{TURN}' || CAST(:schedule_id AS text) AND job.id = (
            SELECT id FROM job_executions WHERE {_IN_LINE}
             ORDER BY scheduled_for, id LIMIT 1)
       AND NOT EXISTS (
            SELECT FROM job_executions
             WHERE schedule_id = :schedule_id AND {_ACTIVE} AND NOT coalesce({_IN_LINE}, false))
    RETURNING {TO_PUBLISH}
    """  # noqa: S608 - as above
).columns(payload=JSONB, options=JSONB)

# The schedules for whose turn jobs wait, from one to the next through the index.
_WITH_A_LINE = text(
    f"""
    WITH RECURSIVE line AS (
        (SELECT pause FROM job_executions
          WHERE status = 'pending' AND published_at IS NULL AND pause IS NOT NULL
            AND pause >= '{TURN}' ORDER BY pause LIMIT 1)
        UNION ALL
        SELECT following.pause FROM line, LATERAL (
            SELECT pause FROM job_executions
             WHERE status = 'pending' AND published_at IS NULL AND pause IS NOT NULL
               AND pause > line.pause ORDER BY pause LIMIT 1) AS following)
    SELECT substr(pause, {len(TURN) + 1}) FROM line WHERE pause LIKE '{TURN}%'
    """  # noqa: S608 - as above
)

_RECENT = text(
    f"""
    SELECT {_FIRING} FROM job_firings WHERE schedule_id = :schedule_id
     ORDER BY scheduled_for DESC LIMIT :limit
    """  # noqa: S608 - as above
)
_FORGET = text(f"DELETE FROM job_firings WHERE noted_at < now() - interval '{KEPT_DAYS} days'")  # noqa: S608 - as above


class Kept(NamedTuple):
    """A schedule with rules, as it is given to QStash."""

    schedule_id: str
    cron: str
    rules: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Firing:
    """What became of one firing; the attributes are those of `JobFiring`."""

    schedule_id: str
    scheduled_for: datetime
    outcome: str
    job_id: str | None
    reason: str | None
    noted_at: datetime


def keep(connection: Connection, schedule: Kept) -> None:
    """Keep a schedule as it is to be; its firings count from now on, if its cron is new."""
    given = schedule._asdict()
    texts = {name: jsonb.dumps(given[name]) for name in ("rules", "options")}
    connection.execute(_KEEP, {**given, **texts})


def drop(connection: Connection, schedule_id: str) -> None:
    """Forget a schedule; what became of its firings stays."""
    connection.execute(_DROP, {"schedule_id": schedule_id})


def lock(connection: Connection, schedule_id: str) -> Row[Any] | None:
    """Return a schedule's row, which nobody else has until the transaction ends."""
    return connection.execute(_LOCK, {"schedule_id": schedule_id}).one_or_none()


def meet(connection: Connection, schedule: Kept, since: datetime) -> Row[Any]:
    """Do the same for one that has fired, and so is there, also if nobody has kept it."""
    row = lock(connection, schedule.schedule_id)
    if row is None:
        given = {**schedule._asdict(), "rules": jsonb.dumps(schedule.rules), "since": since}
        connection.execute(_MEET, given)
        row = lock(connection, schedule.schedule_id)
    assert row is not None  # noqa: S101 - it is ours now
    return row


def find(connection: Connection, schedule_id: str, scheduled_for: datetime) -> Firing | None:
    given = {"schedule_id": schedule_id, "scheduled_for": scheduled_for}
    row = connection.execute(_FIND, given).one_or_none()
    return None if row is None else Firing(*row)


def note(connection: Connection, schedule_id: str, scheduled_for: datetime, **given: Any) -> bool:
    """Note what becomes of a firing, unless it is noted already; tell whether it was not.

    Args:
        connection: Its transaction decides.
        schedule_id: The schedule's.
        scheduled_for: The firing's moment.
        **given: `outcome`, `job_id` and `reason`, as in `JobFiring`.
    """
    values = {"schedule_id": schedule_id, "scheduled_for": scheduled_for}
    values |= {"job_id": None, "reason": None, **given}
    return connection.execute(_NOTE, values).rowcount == 1


def skip(connection: Connection, attempt: Attempt, reason: str) -> None:
    """Note that the firing of a delivery, which is noted, does not run, and why."""
    delivery = attempt.delivery
    given = {"outcome": "skipped", "job_id": delivery.job_id, "reason": reason}
    leave_out(connection, delivery.schedule_id, delivery.scheduled_for, **given)
    spend(connection, attempt)


def leave_out(
    connection: Connection, schedule_id: str | None, scheduled_for: datetime | None, **given: Any
) -> None:
    """Note that a firing has no job.

    Args:
        connection: Its transaction decides.
        schedule_id: The schedule's.
        scheduled_for: The firing's moment.
        **given: `outcome`, `reason`, and as `job_id` that with which it is noted.
    """
    values = {"schedule_id": schedule_id, "scheduled_for": scheduled_for, **given}
    connection.execute(_SKIP, values)


def spend(connection: Connection, attempt: Attempt) -> None:
    """Have a firing's message bring nothing any more."""
    delivery = attempt.delivery
    given = {
        "schedule_id": delivery.schedule_id,
        "cron": delivery.cron,
        "job_id": delivery.job_id,
        "message_id": delivery.message_id,
    }
    connection.execute(_SPEND, given)


def run_before(connection: Connection, schedule_id: str, job_id: str) -> Row[Any] | None:
    """Return the first other run of a schedule that waits or runs."""
    given = {"schedule_id": schedule_id, "job_id": job_id}
    return connection.execute(_BEFORE, given).one_or_none()


def length_of_line(connection: Connection, schedule_id: str) -> int:
    """Return how many runs of a schedule wait for their turn, but for those that make up."""
    return int(connection.execute(_LENGTH, {"schedule_id": schedule_id}).scalar_one())


def put_off(
    connection: Connection, attempt: Attempt, *, available_at: datetime | None, in_line: bool
) -> None:
    """Have another message run a firing whose row is there: later, or when it is its turn."""
    delivery, limit = attempt.delivery, attempt.config.flow_control
    given = {
        "job_id": delivery.job_id,
        "message_id": delivery.message_id,
        "retries": attempt.config.retries,
        "available_at": available_at,
        "turn": f"{TURN}{delivery.schedule_id}" if in_line else None,
        "queue": attempt.config.queue,
        "key": None if limit is None else limit.key,
    }
    connection.execute(_PUT_OFF, given)


def release(connection: Connection, schedule_id: str) -> Sequence[Row[Any]]:
    """Take the job whose turn it is, if any, with the columns of `job_rows.TO_PUBLISH`."""
    lock(connection, schedule_id)
    return connection.execute(_RELEASE, {"schedule_id": schedule_id}).all()


def with_a_line(connection: Connection) -> list[str]:
    """Return the schedules for whose turn jobs wait."""
    return list(connection.execute(_WITH_A_LINE).scalars())


def recent(connection: Connection, schedule_id: str, limit: int) -> list[Firing]:
    """Return what became of a schedule's last firings, the latest first."""
    given = {"schedule_id": schedule_id, "limit": limit}
    return [Firing(*row) for row in connection.execute(_RECENT, given)]


def forget(connection: Connection) -> None:
    """Delete what is older than `KEPT_DAYS`."""
    connection.execute(_FORGET)
