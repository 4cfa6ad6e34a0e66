"""What the jobs cost at QStash, beside what the plan has."""

from flask import request
from flask.typing import ResponseReturnValue

from ...jobs.operate import usage
from ..cached import Figure, figure
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
    shown = figure(lately(period))
    found = shown.value.usage if shown.value else None
    return page(
        "usage.html",
        period=period,
        periods=DAYS,
        shown=shown,
        found=found,
        most=MOST,
        price=usage.price(found) if found and found.plan.price else None,
    )


def lately(period: str) -> Figure[usage.Lately]:
    """Return the figure of what a period cost."""
    return Figure(
        f"usage {period}",
        usage.Lately,
        FRESH,
        lambda: usage.lately(days=DAYS[period], most=MOST),
    )
