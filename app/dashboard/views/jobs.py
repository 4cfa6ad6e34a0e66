"""The list of jobs: newest first, by state and filter, a page at a time."""

from typing import Any

from flask import current_app, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.kit import registry_of
from ...jobs.operate import (
    SEARCHED,
    Filter,
    Page,
    attempts_made,
    count_jobs,
    jobs_beginning,
    list_jobs,
    progress,
)
from .. import access, filters, formatting, states
from ..filters import Given
from ..rendering import link, page
from ..screens import Screen

screen = Screen("jobs", "Jobs")

#: Jobs per page.
LIMIT = 50
#: How many are named where an id's first characters fit several.
NAMED = 20


@screen.page("/jobs")
def index() -> ResponseReturnValue:
    """Show a page of the list, or what is wrong with the filter."""
    given = filters.read(request.args)
    known = [config.type for config in registry_of(current_app)]
    shown: dict[str, Any] = {
        "given": given,
        "fields": filters.FIELDS,
        "states": states.STATES,
        "types": known,
    }
    if given.problems:
        return page("jobs.html", 400, **shown, found=Page([]), counts={}, newest=False)
    after = request.args.get("after") or None
    found = list_jobs(given.wanted(), after=after, limit=LIMIT)
    return page(
        "jobs.html",
        **shown,
        found=found,
        counts=_counts(given),
        newest=after is None,
        state_of=states.state_of,
        attempts_made=attempts_made,
        progress_of=progress.of,
        searched=SEARCHED,
    )


@screen.page("/find")
def find() -> ResponseReturnValue:
    """Lead to the job whose id begins so, or show those that do."""
    text = filters.storable("id", request.args.get("id", "")).strip().rstrip("….")
    found = [row for row in jobs_beginning(text, limit=NAMED) if _is_theirs(row.organization_id)]
    if len(found) == 1:
        return redirect(link("job", job_id=found[0].job_id))
    return page("find.html", 200 if found else 404, text=text, rows=found, state_of=states.state_of)


def _counts(given: Given) -> dict[str, int | None]:
    """Count the jobs of each state that fit the rest of the filter; "" is all of them."""
    names = ["", *states.STATES]
    wanted: list[Filter] = [given.wanted(name) for name in names]
    return dict(zip(names, count_jobs(wanted, cap=formatting.CAP), strict=True))


def _is_theirs(organization_id: object) -> bool:
    own = access.user().organization_id
    return own is None or own == organization_id
