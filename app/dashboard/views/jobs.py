"""The list of jobs: newest first, by state and filter, a page at a time."""

from typing import Any

from flask import current_app, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.kit import registry_of
from ...jobs.operate import (
    Filter,
    Page,
    attempts_made,
    count_jobs,
    jobs_beginning,
    list_jobs,
    progress,
)
from .. import access, exports, filter_line, filters, formatting, states
from ..filters import Given
from ..rendering import link, page
from ..screens import Screen

screen = Screen("jobs", "Jobs")

#: Jobs per page.
LIMIT = 50
#: Seconds after which a search that no index helps with is left to be continued.
PATIENCE = 0.04
#: Of what no index has, in how many of the newest jobs is counted what fits.
NEAR = 1_000
#: How many are named where an id's first characters fit several.
NAMED = 20


@screen.page("/jobs")
def index() -> ResponseReturnValue:
    """Show a page of the list, or what is wrong with the filter."""
    line = request.args.get("q")
    troubles: list[str] = []
    if line is not None:
        asked, troubles = filter_line.read(line)
        if not troubles:
            return redirect(_address_of(asked))
    given = filters.read(request.args)
    known = [config.type for config in registry_of(current_app)]
    shown: dict[str, Any] = {
        "given": given,
        "fields": filters.fields(),
        "line": filter_line.write(given.address) if line is None else line,
        "troubles": [*troubles, *given.problems.values()],
        "states": states.STATES,
        "types": known,
    }
    if shown["troubles"]:
        return page("jobs.html", 400, **shown, found=Page([]), counts={}, newest=False)
    after = request.args.get("after") or None
    found = list_jobs(given.wanted(), after=after, limit=LIMIT, patience=PATIENCE)
    return page(
        "jobs.html",
        **shown,
        found=found,
        counts=_counts(given),
        newest=after is None,
        state_of=states.state_of,
        attempts_made=attempts_made,
        progress_of=progress.of,
        exports=exports.is_there(),
    )


@screen.page("/jobs/suggest")
def suggest() -> ResponseReturnValue:
    """Say what may come next in a filter line, while it is typed."""
    found = filter_line.suggestions(filters.storable("q", request.args.get("q", "")))
    return page("suggestions.html", found=found)


@screen.page("/find")
def find() -> ResponseReturnValue:
    """Lead to the job whose id begins so, or show those that do."""
    text = filters.storable("id", request.args.get("id", "")).strip().rstrip("….")
    own = access.user().organization_id
    found = jobs_beginning(text, limit=NAMED, organization_id=own)
    if len(found) == 1:
        return redirect(link("job", job_id=found[0].job_id))
    return page("find.html", 200 if found else 404, text=text, rows=found, state_of=states.state_of)


def _address_of(asked: dict[str, str]) -> str:
    """Return the address for a filter line; of an id, that of the job."""
    if "id" in asked:
        return link("jobs_find", id=asked["id"])
    return link("jobs", **asked)


def _counts(given: Given) -> dict[str, int | None]:
    """Count the jobs of each state that fit the rest of the filter; "" is all of them."""
    names = ["", *states.STATES]
    wanted: list[Filter] = [given.wanted(name) for name in names]
    return dict(zip(names, count_jobs(wanted, cap=formatting.CAP, near=NEAR), strict=True))
