"""Firings of unique jobs: where another job has the key, a firing is not needed."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ..outcome import Skipped
from ..payload import loading
from ..table import firings, unique
from ..table.attempts import Attempt


@dataclass(frozen=True, slots=True)
class NotNeeded(Skipped):
    """A schedule fired, and another job of the same key is there: one is enough."""

    label = "skipped"
    event = "[jobs] Firing not needed"
    logged = ("reason",)

    reason: str = ""


def take_key(tx: Connection, attempt: Attempt) -> NotNeeded | None:
    """Give the job of a firing, which the transaction has recorded, the key that is its own.

    Returns:
        That it is not needed, where another job has the key. Then there is no row of it any more.
    """
    config, delivery = attempt.config, attempt.delivery
    rule = config.unique if delivery.is_firing and delivery.broken is None else None
    if rule is None:
        return None
    wire = loading.dump(config.schema, delivery.payload)
    key = rule.key(config.type, delivery.organization_id, wire)
    holder = unique.take_key(tx, attempt.job_id, rule, key)
    if holder is None:
        return None
    reason = not_needed(holder)
    if delivery.rules is not None and delivery.scheduled_for is not None:
        firings.skip(tx, attempt, reason)
    else:
        firings.spend(tx, attempt)
    return NotNeeded("existing", reason)


def not_needed(holder: str) -> str:
    """Say why there is no job of a firing."""
    return f"job {holder} does the same, and has not ended"
