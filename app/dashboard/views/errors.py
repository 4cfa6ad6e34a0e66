"""Failed jobs by what went wrong, so that one cause is one line."""

from flask.typing import ResponseReturnValue

from ...jobs.operate import GROUPED, ErrorGroup, error_groups
from .. import access, charts
from ..cached import Figure, figure
from ..rendering import page
from ..screens import Screen

screen = Screen("errors", "Errors")

#: Seconds for which the groups are the same for everybody.
FRESH = 3.0


@screen.page("/errors")
def index() -> ResponseReturnValue:
    own = access.user().organization_id
    wanted = access.within({})
    name = "errors" if own is None else f"errors {own}"
    shown = figure(Figure(name, list[ErrorGroup], FRESH, lambda: error_groups(wanted)))
    groups = shown.value or []
    return page(
        "errors.html",
        shown=shown,
        groups=[(group, charts.stacked(_steps(group.hours))) for group in groups],
        is_cut=sum(group.count for group in groups) >= GROUPED,
        most=GROUPED,
    )


def _steps(hours: list[int]) -> list[tuple[str, dict[str, int]]]:
    return [
        (f"{count:,} jobs, {len(hours) - number} h ago", {"dead": count})
        for number, count in enumerate(hours)
    ]
