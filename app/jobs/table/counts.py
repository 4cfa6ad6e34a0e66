"""How many jobs fit a filter, as far as anyone reads on: counting ends at a cap."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ScalarSelect, Table, func, literal, select

from .filters import SEARCHED, Filter, Near
from .models import JobExecution
from .patience import patiently

#: Milliseconds after which counting is given up: who looks at a page does not wait for a number.
PATIENCE_MS = 60
#: The most of the newest jobs with a tag that are counted where not all are: no index has them in
#: that order.
TAGGED = 100

_table = cast("Table", JobExecution.__table__)


class AtLeast(int):
    """A count of which there may be more: counting ended before the last job."""


def count_jobs(wanted: Sequence[Filter], *, cap: int, near: int | None = None) -> list[int | None]:
    """Return how many jobs fit each of some filters; above the cap, `cap + 1`.

    What no index finds, such as a piece of an error's text, is looked for in the newest 5,000 jobs
    that may have it. All are None where counting takes too long.

    Args:
        wanted: The filters.
        cap: Where counting ends.
        near: Of what is asked for together, but no one index has, and of what none finds, in how
            many of the newest jobs that may have it is looked for it; what is found in so many is
            `AtLeast` that. Without, together is counted up to the cap.

    Raises:
        DatabaseUnavailable: Nothing can be counted.
    """
    query = select(*(part for one in wanted for part in _count(one, cap, near)))

    found = patiently(lambda tx: list(tx.execute(query).one()), PATIENCE_MS)
    if found is None:
        return [None] * len(wanted)
    return [AtLeast(count) if is_cut else count for count, is_cut in _pairs(found)]


def _pairs(found: list[int]) -> list[tuple[int, int]]:
    return list(zip(found[::2], found[1::2], strict=True))


def _count(wanted: Filter, cap: int, near: int | None) -> tuple[ScalarSelect[int], Any]:
    """Return the count as SQL, and whether there may be more, each found by an index."""
    leading = wanted.leading() if near is not None else None
    # The first column alone, so that partial indexes, which have no ids, are enough by themselves.
    newest_first = wanted.key()[0].desc()
    if near is not None and wanted.batch_id is not None:
        near = max(near, SEARCHED)
    elif near is not None and wanted.tags:
        leading = leading or Near([*wanted.indexed()], SEARCHED)
        near = min(near, TAGGED)
    if leading is None and not wanted.searched():
        rows = select(literal(1)).select_from(_table).where(*wanted.indexed())
        found = rows.order_by(newest_first).limit(cap + 1).subquery()
        return select(func.count()).select_from(found).scalar_subquery(), literal(value=False)
    conditions = leading.conditions if leading else [*wanted.indexed(), *wanted.near()]
    many = near or SEARCHED
    rows = select(_table).where(*conditions).order_by(newest_first).limit(many)
    row = rows.subquery().c
    fitting = select(func.count()).where(*wanted.indexed(row), *wanted.searched(row))
    looked_into = select(literal(1)).select_from(_table).where(*conditions)
    last = looked_into.order_by(newest_first).offset(many).limit(1)
    is_cut = last.exists() if near is not None else literal(value=False)
    return fitting.scalar_subquery(), select(is_cut).scalar_subquery()
