"""What people are told of unique jobs: what an enqueue came to, and what a job is unique by."""

from typing import Any

from .. import durations
from ..enqueue.enqueuer import JobId
from ..table.models import JobExecution
from ..table.unique_sql import FOLLOWS
from ..values.unique import ONCE_MORE

_SAID = {
    "existing": "job {job_id} does the same and is there already; nothing was enqueued",
    "replaced": "job {job_id} was waiting, and does this now instead of what it was to do",
    "follow-up": "job {job_id} begins when the one before it, which does the same, has ended",
}
_WHILE = {
    "pending": "until it begins",
    "processing": "until it has ended",
    "completed": "also when it has completed",
    ONCE_MORE: "until it begins, and then one more waits for its end",
}


def came_to(job_id: JobId) -> str | None:
    """Say what an enqueue came to; None where there is a new job like any other."""
    said = _SAID.get(job_id.enqueued_as)
    return None if said is None else said.format(job_id=job_id)


def facts_of(row: JobExecution) -> dict[str, str]:
    """Return what there is to say of a unique job, by what it is about; nothing of others.

    "unique": by what, and how long; "unique key", while no other job has taken it; "replaced": how
    often its payload was; "follows" and "followed": the job whose end it waits for, or waited for.
    """
    rule: Any = row.uniqueness
    if not isinstance(rule, dict):
        return {}
    fields = rule.get("fields")
    by = "its payload" if fields is None else ", ".join(map(str, fields)) or "its organization"
    facts = {"unique": f"by {by}, {_how_long(row, rule)}"}
    if row.unique_key:
        facts["unique key"] = row.unique_key
    if rule.get("replaced"):
        facts["replaced"] = "once" if rule["replaced"] == 1 else f"{rule['replaced']} times"
    if row.pause and row.pause.startswith(FOLLOWS):
        facts["follows"] = row.pause.removeprefix(FOLLOWS)
    elif rule.get("followed"):
        facts["followed"] = str(rule["followed"])
    return facts


def _how_long(row: JobExecution, rule: dict[str, Any]) -> str:
    parts = [_WHILE.get(str(rule.get("while")), "")]
    if row.unique_until is not None:
        parts.append(f"at most to {row.unique_until.isoformat(timespec='seconds')}")
    if rule.get("debounce"):
        times = [durations.in_words(float(rule[name])) for name in ("debounce", "at_most")]
        parts.append(f"put off by {times[0]} with each call, at most {times[1]} in all")
    return "; ".join(filter(None, parts))
