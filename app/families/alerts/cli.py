"""`flask jobs alerts …`: list, silence, acknowledge and test health alerts."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import click
from flask import current_app

from app.db import db
from app.families.alerts import state
from app.families.alerts.channels import configured, deliver
from app.families.alerts.messages import compose
from app.families.alerts.models import AlertState
from app.families.alerts.state import Kind
from app.jobs.cli.kit import (
    FAILED,
    CommandGroup,
    Duration,
    Refused,
    acting_as,
    as_json,
    jobs,
    print_json,
    table,
)
from app.jobs.operate import HealthStatus, audit, health

PATIENCE = 10.0

group = CommandGroup("alerts", help="List, silence and acknowledge health alerts.")
jobs.add_command(group)


@group.command("list")
@as_json
def list_alerts(*, as_json: bool) -> None:
    """Show the current verdict, the last alert, and who acknowledged it."""
    shown = _as_json(state.locked())
    db.session.commit()
    if as_json:
        print_json(shown)
    else:
        click.echo(table([(_label(name), _said(shown[name])) for name in shown]))


@group.command("silence")
@click.argument("duration", type=Duration())
@acting_as
def silence_alerts(duration: int, by: str) -> None:
    r"""Send no alerts for this long; changes in the meantime are reported afterwards.

    \b
    Examples:
      flask jobs alerts silence 2h
      flask jobs alerts silence 0     (end the silence)
    """
    row = state.locked()
    is_change = duration or row.silenced_until is not None
    row.silenced_until = datetime.now(UTC) + timedelta(seconds=duration) if duration else None
    until = row.silenced_until
    if is_change:
        _record("silence", by, {"seconds": duration})
    db.session.commit()
    click.echo(f"Silent until {until:%Y-%m-%d %H:%M:%S} UTC." if until else "Not silenced.")


@group.command("acknowledge")
@acting_as
def acknowledge_alert(by: str) -> None:
    """Acknowledge the alert: no more reminders until the verdict changes."""
    row = state.locked()
    if row.told == HealthStatus.HEALTHY:
        db.session.rollback()
        raise Refused("nothing to acknowledge: no alert was sent")
    row.acknowledged_at, row.acknowledged_by = datetime.now(UTC), by
    said = f"Acknowledged by {row.acknowledged_by}; the jobs are {row.told}."
    _record("acknowledge", by, {"verdict": str(row.told)})
    db.session.commit()
    click.echo(said)


@group.command("test")
@acting_as
def test_channels(by: str) -> None:
    """Send a test through every channel now; exit code 1 if one fails."""
    channels = configured(current_app.config)
    if not channels:
        raise Refused(
            "no channel is configured: set ALERT_EMAIL, ALERT_SLACK_URL or ALERT_WEBHOOK_URL"
        )
    found = health.as_json(health.check())
    message = compose(Kind.TEST, previous=found["verdict"], since=None, health=found)
    audit.note("alerts test", by=by, wanted={"channels": list(channels)})
    failed = False
    for channel in channels:
        try:
            deliver(channel, message, key=f"test/{uuid4()}", patience=PATIENCE)
        except Exception as error:  # noqa: BLE001 - each channel fails in its own words
            failed = True
            click.echo(f"{channel}: {error}", err=True)
        else:
            click.echo(f"{channel}: sent")
    sys.exit(FAILED if failed else 0)


def _record(action: str, by: str, wanted: dict[str, Any]) -> None:
    """Put on record what the session's transaction does."""
    tx = db.session.connection()
    audit.record_action(tx, actor=by, action=f"alerts {action}", wanted=wanted)


def _as_json(row: AlertState) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in AlertState.__table__.columns}
    shown = {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in values.items()
        if name != "name"
    }
    return {**shown, "channels": configured(current_app.config)}


def _label(name: str) -> str:
    return {"told": "last alert", "told_at": "last alert at"}.get(name, name.replace("_", " "))


def _said(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
