"""The job `evaluate-alerts`: evaluates job health and enqueues alerts."""

from dataclasses import dataclass
from typing import Any

from flask import current_app

from app.db import db
from app.families.alerts import bp, state
from app.families.alerts.channels import configured
from app.families.alerts.send_alert import Alert, send_alert
from app.jobs import Job, PayloadSchema, periodic
from app.jobs.operate import health


@dataclass(frozen=True, slots=True)
class Evaluate:
    """The payload: empty."""


class EvaluateSchema(PayloadSchema[Evaluate]):
    model = Evaluate


@periodic("*/5 * * * *", when=lambda: bool(configured(current_app.config)))
@bp.job(
    "evaluate-alerts",
    "/alerts",
    payload=EvaluateSchema,
    retries=1,
    timeout=30,
    unwatched=True,
    forgets_empty=True,
    description="Send alerts when job health changes",
)
def evaluate_alerts(payload: Evaluate, job: Job) -> dict[str, Any] | None:  # noqa: ARG001 - as every handler has it
    """Evaluate job health, and enqueue a message to each channel if an alert is due.

    The alert's state, the messages and this job's completion are one transaction: whatever crashes,
    each channel gets one job per change. A firing of its schedule that finds no change leaves none.
    """
    found = health.check()
    row = state.locked()
    previous = row.told
    kind = state.observe(row, found, current_app.config)
    if kind is None and job.schedule_id:
        return None
    channels = configured(current_app.config) if kind else []
    for channel in channels:
        alert = Alert(
            channel=channel,
            kind=kind or "",
            previous=previous,
            since=row.since,
            health=health.as_json(found),
        )
        send_alert.enqueue(alert, session=db.session)
    return {"verdict": found.verdict, "told": kind, "channels": channels}
