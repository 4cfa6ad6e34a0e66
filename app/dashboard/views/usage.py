"""What the jobs cost at QStash, beside what the plan has."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from ...jobs.operate import usage
from ..cached import computed_beside
from ..rendering import page
from ..screens import Screen

screen = Screen("usage", "Usage", of_whole_app=True)

#: Days that can be looked back on, and seconds for which what was counted is kept.
DAYS = {"day": 1, "week": 7, "month": 30}
FRESH = 60.0
#: How many organizations are listed.
MOST = 50


@screen.page("/usage")
def index() -> ResponseReturnValue:
    asked = request.args.get("period", "")
    period = asked if asked in DAYS else "week"
    seconds = DAYS[period] * usage.DAY
    found = computed_beside(("usage", period), FRESH, lambda: usage.usage(since=seconds))
    return page(
        "usage.html",
        period=period,
        periods=DAYS,
        found=found,
        organizations=_largest(found) if found else [],
        most=MOST,
        price=usage.price(found) if found and found.plan.price else None,
    )


def _largest(found: usage.Usage) -> list[tuple[Any, usage.Spent]]:
    """Return the organizations that took the most."""
    by_total = sorted(found.organizations.items(), key=lambda one: one[1].total, reverse=True)
    return by_total[:MOST]
