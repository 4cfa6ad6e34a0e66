"""How many jobs fit a filter, as far as anyone reads on: counting ends at a cap."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import ScalarSelect, Table, func, literal, select

from .filters import Filter
from .models import JobExecution
from .pages import SEARCHED
from .patience import patiently

#: Milliseconds after which counting is given up: who looks at a page does not wait for a number.
PATIENCE_MS = 60

_table = cast("Table", JobExecution.__table__)
#: No more than this, so that partial indexes, which have no ids, are enough by themselves.
_NEWEST_FIRST = (_table.c.created_at.desc(),)


def count_jobs(wanted: Sequence[Filter], *, cap: int) -> list[int | None]:
    """Return how many jobs fit each of some filters; above the cap, `cap + 1`.

    What no index finds, such as a piece of an error's text, is looked for in the newest 5,000 jobs
    that may have it. All are None where counting takes too long.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    query = select(*(_count(one, cap) for one in wanted))

    found = patiently(lambda tx: list(tx.execute(query).one()), PATIENCE_MS)
    return [None] * len(wanted) if found is None else found


def _count(wanted: Filter, cap: int) -> ScalarSelect[int]:
    """Return the count as SQL, in the order in which every filter has an index."""
    conditions = wanted.indexed()
    if not wanted.searched():
        rows = select(literal(1)).select_from(_table).where(*conditions).order_by(*_NEWEST_FIRST)
        found = rows.limit(cap + 1).subquery()
        return select(func.count()).select_from(found).scalar_subquery()
    near = select(*wanted.looked_into()).where(*conditions, *wanted.near())
    row = near.order_by(*_NEWEST_FIRST).limit(SEARCHED).subquery().c
    return select(func.count()).where(*wanted.searched(row)).scalar_subquery()
