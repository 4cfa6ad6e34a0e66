"""The text of an alert, for people and for programs."""

from dataclasses import dataclass
from typing import Any

from flask import current_app

from app.families.alerts.state import Kind
from app.jobs.operate import HealthStatus


@dataclass(frozen=True, slots=True)
class Message:
    """One alert; `event` is for programs."""

    subject: str
    text: str
    event: dict[str, Any]


def compose(kind: str, *, previous: str, since: str | None, health: dict[str, Any]) -> Message:
    """Write an alert; `health` is what `GET /api/admin/job-health` answers."""
    return Message(
        subject=f"[{current_app.config['APP_NAME']}] {_headline(kind, health['verdict'])}",
        text="\n".join(_lines(health, previous, since)),
        event={
            "type": f"job_health.{kind}",
            "timestamp": health["measuredAt"],
            "data": {**health, "previous": previous, "since": since},
        },
    )


def _headline(kind: str, verdict: str) -> str:
    if kind == Kind.TEST:
        return f"A test: jobs are {verdict}"
    if kind == Kind.REMINDER:
        return f"Jobs are still {verdict}"
    return "Jobs are healthy again" if verdict == HealthStatus.HEALTHY else f"Jobs are {verdict}"


def _lines(health: dict[str, Any], previous: str, since: str | None) -> list[str]:
    lines = [reason["message"] for reason in health["reasons"]]
    if since:
        lines.append(f"since {since}, before that {previous}")
    lines += ["", _last_hour(health), _now(health)]
    if health["verdict"] != HealthStatus.HEALTHY:
        lines += ["", "flask jobs doctor", "flask jobs alerts acknowledge"]
    return lines


def _last_hour(health: dict[str, Any]) -> str:
    said = f"last hour: {health['completed']} completed, {health['failed']} failed"
    rate = health["failureShare"]
    return said if rate is None else f"{said} ({rate:.1%})"


def _now(health: dict[str, Any]) -> str:
    names = ("pending", "overdue", "processing", "stuck", "retrying", "dead")
    return "now: " + ", ".join(f"{health[name]} {name}" for name in names)
