"""How many jobs fit a filter, as far as anyone reads on: counting ends at a cap."""

from collections.abc import Sequence
from typing import cast

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, ScalarSelect, Table, func, literal, select
from sqlalchemy.exc import OperationalError

from .db import in_transaction
from .filters import Filter
from .models import JobExecution
from .pages import SEARCHED

#: Milliseconds after which counting is given up: who looks at a page does not wait for a number.
PATIENCE_MS = 250

_table = cast("Table", JobExecution.__table__)
_NEWEST_FIRST = (_table.c.created_at.desc(), _table.c.id.desc())


def count_jobs(wanted: Sequence[Filter], *, cap: int) -> list[int | None]:
    """Return how many jobs fit each of some filters; above the cap, `cap + 1`.

    A piece of an error's text is looked for in the newest 5,000 jobs that have one. All are None
    where counting takes too long.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    query = select(*(_count(one, cap) for one in wanted))

    def work(tx: Connection) -> list[int | None]:
        tx.exec_driver_sql(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
        return list(tx.execute(query).one())

    try:
        return in_transaction(work)
    except OperationalError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        return [None] * len(wanted)


def _count(wanted: Filter, cap: int) -> ScalarSelect[int]:
    """Return the count as SQL, in the order in which every filter has an index."""
    conditions = wanted.indexed()
    if not wanted.searched():
        rows = select(literal(1)).select_from(_table).where(*conditions).order_by(*_NEWEST_FIRST)
        found = rows.limit(cap + 1).subquery()
        return select(func.count()).select_from(found).scalar_subquery()
    failed = select(_table.c.error).where(*conditions, _table.c.error.is_not(None))
    near = failed.order_by(*_NEWEST_FIRST).limit(SEARCHED).subquery().c
    return select(func.count()).where(*wanted.searched(near.error)).scalar_subquery()
