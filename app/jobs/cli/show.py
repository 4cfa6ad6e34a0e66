"""`flask jobs show`: one job, from its recording to its end."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from .. import durations
from ..operate import message_log, unique, waiting
from ..payload.masking import hidden
from ..table import audit
from ..table.audit import JobAudit
from ..table.log_lines import AttemptLog, logs_of
from ..table.models import JobExecution
from . import formatting
from .formatting import painted
from .group import as_json, find_job, jobs, print_json
from .params import JobId

_FIELDS = {
    "message": "message_id",
    "schedule": "schedule_id",
    "queue": "queue",
    "parent": "parent_id",
    "user": "user_id",
    "organization": "organization_id",
    "key": "idempotency_key",
    "generation": "generation",
}

#: When, and what happened then.
Event = tuple[datetime, str]


@jobs.command("show")
@click.argument("job_id", metavar="ID", type=JobId())
@click.option("--traceback", is_flag=True, help="Also print the traceback of each failed attempt.")
@click.option("--logs", is_flag=True, help="Also print what the handler logged.")
@as_json
def show_job(job_id: str, traceback: bool, logs: bool, as_json: bool) -> None:
    r"""Show one job: its timeline, attempts, payload and result.

    Sealed fields, and fields with names such as password or token, are masked.

    \b
    Examples:
      flask jobs show 5f0c --traceback
      flask jobs show 5f0c --logs
      flask jobs show 5f0c2e9a-2a77-4f0e-9d0c-0f8f3f0d8c11 --json | jq .attempts
    """
    row = find_job(job_id)
    actions = audit.entries_of(row.job_id)
    waits = waiting.reasons([row]).get(row.job_id)
    kept = logs_of(row) if logs else []
    next_try = message_log.next_try(row)
    if as_json:
        more = {
            "waits_for": waits,
            "next_try_at": next_try and next_try.isoformat(),
            "audit": [_action_as_json(one) for one in actions],
        }
        if logs:
            more["logs"] = [asdict(one) for one in kept]
        print_json({**formatting.as_json(row), **more})
    else:
        told = render(row, actions, waits=waits, next_try=next_try, tracebacks=traceback)
        click.echo(painted(told))
        if logs:
            click.echo(f"\n{formatting.harmless(_logs(kept))}")


def render(
    row: JobExecution,
    actions: Sequence[JobAudit],
    *,
    waits: str | None = None,
    next_try: datetime | None = None,
    tracebacks: bool = False,
) -> str:
    """Return a job as text, within the terminal's width."""
    values = {name: getattr(row, attribute) for name, attribute in _FIELDS.items()}
    fields = {"job": row.job_id, "type": row.job_type, "status": formatting.state(row)}
    fields |= {name: str(value) for name, value in values.items() if value}
    fields |= unique.facts_of(row)
    if row.tags:
        fields["tags"] = " ".join(row.tags)
    if row.error:
        fields["error"] = row.error
    if waits:
        fields["waits"] = waits
    if next_try:
        fields["next try"] = f"about {formatting.time(next_try)}"
    parts = [formatting.table(list(fields.items())), _timeline(row, actions)]
    parts.append(f"payload\n{_pretty(row.payload.get('payload'))}")
    for name, value in (("result", row.result), ("progress", row.progress)):
        if value is not None:
            parts.append(f"{name}\n{_pretty(value)}")
    if tracebacks:
        parts += [
            f"traceback of attempt {attempt['number']}\n{attempt['traceback'].rstrip()}"
            for attempt in row.attempts
            if attempt.get("traceback")
        ]
    return formatting.harmless("\n\n".join(parts))


def _timeline(row: JobExecution, actions: Sequence[JobAudit]) -> str:
    events = sorted(_events(row, actions), key=lambda event: event[0])
    lines, before = [("TIME", "AFTER", "EVENT")], events[0][0]
    for moment, what in events:
        passed = (moment - before).total_seconds()
        lines.append(
            (formatting.time(moment), f"+{durations.in_words(passed)}" if passed else "", what)
        )
        before = moment
    return formatting.table(lines)


def _events(row: JobExecution, actions: Sequence[JobAudit]) -> Iterator[Event]:
    yield row.created_at, "created"
    if row.available_at:
        yield row.available_at, "due"
    if row.published_at:
        yield row.published_at, "published"
    for attempt in row.attempts:
        if attempt.get("started_at"):
            yield datetime.fromisoformat(attempt["started_at"]), _attempt(attempt)
    if row.started_at and row.status == "processing":
        yield row.started_at, f"attempt {formatting.attempts(row) + 1} started, still running"
    for action in actions:
        among = f" (one of {action.job_count} jobs)" if action.job_count > 1 else ""
        yield action.created_at, f"{action.action} by {action.actor}{among}"
    if row.cancelled_at:
        yield row.cancelled_at, "cancelled"
    if row.completed_at and not row.cancelled_at:
        yield row.completed_at, "failed for good" if row.dead_at else row.status


def _attempt(attempt: dict[str, Any]) -> str:
    leg = f", leg {attempt['leg']}" if attempt.get("leg", 1) > 1 else ""
    parts = [f"attempt {attempt['number']}{leg}: {attempt['outcome']}"]
    if "duration_ms" in attempt:
        parts.append(f"after {durations.in_words(attempt['duration_ms'] / 1000)}")
    if "status" in attempt:
        parts.append(f"HTTP {attempt['status']}")
    error = f": {formatting.short(attempt['error'], 200)}" if attempt.get("error") else ""
    return ", ".join(parts) + error


def _logs(kept: Sequence[AttemptLog]) -> str:
    if not kept:
        return "No attempt that has ended logged anything."
    return "\n\n".join(map(_log, kept))


def _log(kept: AttemptLog) -> str:
    head = f"log of attempt {kept.attempt}"
    if kept.left_out:
        head += f", without the {kept.left_out:,} lines before"
    return "\n".join([head, *map(_log_line, kept.lines)])


def _log_line(line: dict[str, str]) -> str:
    return f"{line['at']} {line['level']} {line['logger']}: {line['message']}"


def _action_as_json(action: JobAudit) -> dict[str, Any]:
    return {
        "at": action.created_at.isoformat(),
        "actor": action.actor,
        "action": action.action,
        "job_count": action.job_count,
    }


def _pretty(value: Any) -> str:
    return json.dumps(hidden(value), indent=2, ensure_ascii=False)
