"""Which queues and tags the newest jobs have: to be offered to whoever looks for some."""

from sqlalchemy import text

from .db import in_transaction

#: How many of the newest jobs are looked at.
LOOKED_AT = 2_000

_NEWEST = f"""
    (SELECT queue, tags FROM job_executions ORDER BY created_at DESC, id DESC LIMIT {LOOKED_AT}) AS job
"""  # noqa: E501, S608 - our own number
_QUEUES = text(f"SELECT DISTINCT queue FROM {_NEWEST} WHERE queue <> '' ORDER BY 1 LIMIT 50")  # noqa: S608 - as above
_TAGS = text(f"SELECT DISTINCT unnest(tags) FROM {_NEWEST} ORDER BY 1 LIMIT 50")  # noqa: S608 - as above


def queues_in_use() -> list[str]:
    """Return the queues of the newest jobs."""
    return list(in_transaction(lambda tx: tx.execute(_QUEUES).scalars().all()))


def tags_in_use() -> list[str]:
    """Return the tags of the newest jobs."""
    return list(in_transaction(lambda tx: tx.execute(_TAGS).scalars().all()))
