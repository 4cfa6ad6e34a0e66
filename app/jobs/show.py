"""Jobs as people and machines read them on the command line."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.jobs.models import JobExecution, Status
from app.jobs.registry import JobConfig
from app.jobs.sealing import MARK

# Neither the table's own key nor the lease, which is a secret between a delivery and its row.
_HIDDEN = {"id", "lease_token"}


def state(row: JobExecution) -> str:
    """Say the status, and of a failed job whether it will be tried again."""
    if row.status != Status.FAILED:
        return row.status
    return "failed, dead" if row.dead_at else "failed, will retry"


def is_final(row: JobExecution) -> bool:
    return row.dead_at is not None or row.status in {Status.COMPLETED, Status.CANCELLED}


def as_json(row: JobExecution) -> dict[str, Any]:
    names = [column.key for column in JobExecution.__table__.columns if column.key not in _HIDDEN]
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def type_as_json(config: JobConfig) -> dict[str, Any]:
    names = ("type", "endpoint", "retries", "timeout", "description", "queue", "version", "sealed")
    return {name: getattr(config, name) for name in names}


def types_table(configs: Sequence[JobConfig]) -> str:
    head = ("TYPE", "ENDPOINT", "RETRIES", "TIMEOUT", "DESCRIPTION")
    rows = [
        (
            config.type,
            config.endpoint,
            str(config.retries),
            f"{config.timeout} s",
            config.description,
        )
        for config in configs
    ]
    return table([head, *rows])


def jobs_table(rows: Sequence[JobExecution]) -> str:
    head = ("ID", "TYPE", "STATUS", "ATTEMPTS", "CREATED", "ERROR")
    return table([head, *(_job_line(row) for row in rows)])


def state_line(row: JobExecution) -> str:
    """Say in one line how far a job has come."""
    last: dict[str, Any] = row.attempts[-1] if row.attempts else {}
    parts = [f"{row.job_type}: {state(row)}", f"attempts {last.get('number', 0)}"]
    if row.error:
        parts.append(_short(row.error, 100))
    return "  ".join(parts)


def details(row: JobExecution) -> str:
    fields = {
        "job": row.job_id,
        "type": row.job_type,
        "status": state(row),
        "error": row.error,
        "created": row.created_at,
        "available": row.available_at,
        "published": row.published_at,
        "started": row.started_at,
        "completed": row.completed_at,
        "message": row.message_id,
        "schedule": row.schedule_id,
        "user": row.user_id,
        "organization": row.organization_id,
        "key": row.idempotency_key,
    }
    lines = [f"{name:<13}{_shown(value)}" for name, value in fields.items() if value is not None]
    if row.attempts:
        head = ("ATTEMPT", "OUTCOME", "STARTED", "DURATION", "ERROR")
        lines += ["", table([head, *(_attempt_line(attempt) for attempt in row.attempts)])]
    lines += ["", "payload", _pretty(row.payload.get("payload"))]
    if row.result is not None:
        lines += ["", "result", _pretty(row.result)]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns; the last is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _job_line(row: JobExecution) -> tuple[str, ...]:
    number = str(row.attempts[-1]["number"] if row.attempts else 0)
    error = _short(row.error or "", 60)
    return (row.job_id, row.job_type, state(row), number, _shown(row.created_at), error)


def _attempt_line(attempt: dict[str, Any]) -> tuple[str, ...]:
    duration = f"{attempt['duration_ms']} ms" if "duration_ms" in attempt else "?"
    started = datetime.fromisoformat(attempt["started_at"]) if attempt.get("started_at") else None
    return (
        str(attempt["number"]),
        attempt["outcome"],
        _shown(started),
        duration,
        _short(attempt.get("error", ""), 60),
    )


def _pretty(value: Any) -> str:
    return json.dumps(_without_tokens(value), indent=2, ensure_ascii=False)


def _without_tokens(value: Any) -> Any:
    """Replace what is sealed by a word: its token tells a person nothing."""
    if isinstance(value, list):
        return [_without_tokens(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {MARK}:
        return "(sealed)"
    return {key: _without_tokens(item) for key, item in value.items()}


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return str(value)


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
