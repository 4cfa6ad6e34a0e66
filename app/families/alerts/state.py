"""When to alert: once per lasting change, then reminders until someone acknowledges it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.db import db
from app.families.alerts.models import AlertState
from app.jobs.operate import Health, HealthStatus

JOBS = "jobs"


class Kind(StrEnum):
    """Why an alert is sent."""

    #: The verdict has changed, for ALERT_CONFIRMATIONS evaluations in a row.
    CHANGED = "changed"
    #: It is still bad, and nobody has acknowledged it.
    REMINDER = "reminder"
    #: Someone is testing the channels.
    TEST = "test"


def locked() -> AlertState:
    """Return the row, locked: one evaluation at a time."""
    db.session.execute(insert(AlertState).values(name=JOBS).on_conflict_do_nothing())
    return db.session.scalars(
        select(AlertState).where(AlertState.name == JOBS).with_for_update()
    ).one()


def observe(state: AlertState, found: Health, config: Mapping[str, Any]) -> Kind | None:
    """Record what was found, and return why an alert is due, if one is."""
    now = found.snapshot.measured_at
    _note(state, found, now)
    if state.silenced_until is not None and now < state.silenced_until:
        return None
    if state.streak >= config["ALERT_CONFIRMATIONS"]:
        _change(state, now)
        return Kind.CHANGED
    if _is_reminder_due(state, now, config["ALERT_REPEAT_HOURS"]):
        state.told_at = now
        return Kind.REMINDER
    return None


def _note(state: AlertState, found: Health, now: datetime) -> None:
    # Compared with the last alert, not with the last evaluation: flapping between two bad
    # verdicts is bad. One good evaluation resets the streak.
    state.streak = state.streak + 1 if found.verdict != state.told else 0
    if state.streak == 1:
        state.since = now
    state.verdict = found.verdict
    state.reasons = [reason.message for reason in found.reasons]
    state.evaluated_at = now


def _change(state: AlertState, now: datetime) -> None:
    state.told, state.told_at, state.streak = state.verdict, now, 0
    state.acknowledged_at = state.acknowledged_by = None


def _is_reminder_due(state: AlertState, now: datetime, every_hours: float) -> bool:
    return (
        state.told != HealthStatus.HEALTHY
        and state.verdict == state.told
        and state.acknowledged_at is None
        and state.told_at is not None
        and every_hours > 0
        and now >= state.told_at + timedelta(hours=every_hours)
    )
