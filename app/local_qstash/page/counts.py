"""The numbers beside the navigation. They stop at a cap, so that they cost the same at any size."""

import sqlite3

from ..services import Services
from ..store.schema import CANCELLED, CANCELLING, DELIVERED, FAILED, PENDING
from .words import CAP

_RETRYING = f"state = {PENDING} AND retried > 0"
_STORED = {
    "pending": f"messages WHERE state = {PENDING}",
    "retrying": f"messages WHERE {_RETRYING}",
    "delivered": f"messages WHERE state = {DELIVERED}",
    "failed": f"messages WHERE state = {FAILED}",
    "cancelling": f"messages WHERE state = {CANCELLING}",
    "cancelled": f"messages WHERE state = {CANCELLED}",
    "dead_letters": "dead_letters",
    "queues": "queues",
}
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {})) AS {}"
_SELECT = "SELECT " + ", ".join(
    _COUNT.format(source, CAP + 1, name) for name, source in _STORED.items()
)


def read_counts(db: sqlite3.Connection, services: Services) -> dict[str, int]:
    """Return how many there are of everything; more than the cap is the cap plus one."""
    return dict(db.execute(_SELECT).fetchone()) | {
        "active": services.engine.active,
        "schedules": len(services.schedules.schedules),
        "flows": len(services.flows.lanes),
        "groups": len(services.groups.groups),
    }
