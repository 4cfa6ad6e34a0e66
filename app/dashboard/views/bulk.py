"""Actions on many jobs at once: those selected in a list, or all that fit its filter.

Asked twice: the first form says which jobs and shows how many they are, the second one acts.
"""

from dataclasses import dataclass
from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.operate import Done, Filter, actions, count_jobs
from .. import access, cookies, filters, formatting
from ..access import Role
from ..filters import Given
from ..rendering import link, page
from ..screens import Screen

screen = Screen("bulk", "")

#: More jobs than this are not changed by one click: a request has to end.
MOST = 10_000
#: Above this, the number has to be typed.
SURE = 100

_NEEDS = {"retry": Role.OPERATOR, "cancel": Role.OPERATOR, "delete": Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form is about.

    Attributes:
        job_ids: Those selected; empty for all that fit.
        given: The list's filter.
    """

    action: Any
    job_ids: tuple[str, ...]
    given: Given

    @property
    def wanted(self) -> Filter:
        """Return the jobs as a filter; of all jobs, as everything."""
        if self.job_ids:
            return access.within({"job_ids": self.job_ids})
        found = self.given.wanted()
        return found if found.as_json() else access.within({"everything": True})

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return what the second form sends again."""
        ids = [("job_id", one) for one in self.job_ids]
        return [("action", self.action), *self.given.address.items(), *ids]


@screen.action("/preview", needs=Role.OPERATOR)
def preview() -> ResponseReturnValue:
    """Show how many jobs an action would change, and ask."""
    asked = _asked()
    (fitting,) = count_jobs([asked.wanted], cap=MOST)
    if fitting is None or fitting > MOST:
        return page("bulk.html", 400, asked=asked, counts=None, most=MOST, total=0, sure=SURE)
    counts = actions.preview(asked.action, asked.wanted)
    total = sum(counts.values())
    return page(
        "bulk.html", asked=asked, counts=counts, fitting=fitting, total=total, most=MOST, sure=SURE
    )


@screen.action("/act", needs=Role.OPERATOR)
def act() -> ResponseReturnValue:
    """Do it, and lead back to the list as it was."""
    asked = _asked()
    total = sum(actions.preview(asked.action, asked.wanted).values())
    if total > MOST:
        abort(400, f"By now these are more than {MOST:,} jobs: narrow the filter.")
    typed = request.form.get("typed", "").replace(",", "").strip()
    if total > SURE and typed != str(total):
        cookies.notice(
            f"Nothing was changed: these are {total:,} jobs by now, which the form did not say.",
            kind="problem",
        )
    else:
        done = getattr(actions, asked.action)(asked.wanted, by=access.user().name)
        cookies.notice(_said(done))
    return redirect(link("jobs", **asked.given.address))


def _asked() -> Asked:
    """Return what the form says; 400 if it says nothing that can be done, 403 if it may not be."""
    action = request.form.get("action", "")
    if action not in _NEEDS:
        abort(400, f"There is no action {action[:20]!r}.")
    refused = access.admit(_NEEDS[action])
    assert refused is None  # noqa: S101 - who is no operator does not get here
    given = filters.read(request.form)
    if given.problems:
        abort(400, " ".join(given.problems.values()))
    ids = tuple(filters.storable("job_id", one) for one in request.form.getlist("job_id"))
    if not ids and request.form.get("which") == "selected":
        abort(400, "No job is selected: tick some, or choose all that match.")
    return Asked(action, ids if request.form.get("which") != "matching" else (), given)


def _said(done: Done) -> str:
    words = {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}
    parts = [f"{formatting.plural(done.count, 'job')} {words[done.action]}."]
    if done.asked:
        parts.append(f"{done.asked:,} of them run, and were asked to stop.")
    if done.waiting:
        parts.append(f"{done.waiting:,} wait for QStash, and the sweep publishes them.")
    return " ".join(parts)
