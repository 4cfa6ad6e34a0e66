"""The job `evaluate-alerts`: looks how the jobs are, and has people told."""

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
    """Nothing has to be said."""


class EvaluateSchema(PayloadSchema[Evaluate]):
    model = Evaluate


@periodic("*/5 * * * *")
@bp.job(
    "evaluate-alerts",
    "/alerts",
    payload=EvaluateSchema,
    retries=1,
    timeout=30,
    description="Tell people when the health of the jobs changes",
)
def evaluate_alerts(payload: Evaluate, job: Job) -> dict[str, Any]:  # noqa: ARG001 - every handler's arguments
    """Evaluate, and enqueue a message to each channel if people should be told.

    What people know, the messages and this job's completion are one transaction: whatever crashes
    when, a change is told to each channel by one job.
    """
    found = health.check()
    row = state.locked()
    previous = row.told
    kind = state.observe(row, found, current_app.config)
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
