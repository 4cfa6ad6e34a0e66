"""Actions on many jobs at once: those selected in a list, or all that fit its filter.

Asked twice: the first form says which jobs and shows how many they are, the second one acts: at
once on a few, and as an operation on many, which a job works off.
"""

from dataclasses import dataclass
from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs.operate import Done, Filter, actions, count_jobs, operations
from .. import access, cookies, filters, formatting
from ..access import Role
from ..filters import Given
from ..rendering import link, page
from ..screens import Screen

screen = Screen("bulk", "")

#: More jobs than this are an operation's: a request has to end.
AT_ONCE = 500
#: Above this, the number has to be typed; where nobody knows it, this word.
SURE, ALL = 100, "all"

_NEEDS = {
    "retry": Role.OPERATOR,
    "cancel": Role.OPERATOR,
    "move": Role.OPERATOR,
    "delete": Role.ADMIN,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form is about.

    Attributes:
        job_ids: Those selected; empty for all that fit.
        given: The list's filter.
        to_queue: Where `move` moves them to; None is no queue.
    """

    action: Any
    job_ids: tuple[str, ...]
    given: Given
    to_queue: str | None

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

    def counts(self) -> dict[str, int] | None:
        """Count the jobs that it would change, by status; None where they are many."""
        return actions.preview_within(self.action, self.wanted, formatting.CAP)


@screen.action("/preview", needs=Role.OPERATOR)
def preview() -> ResponseReturnValue:
    """Show how many jobs an action would change, and ask."""
    asked = _asked()
    (fitting,) = count_jobs([asked.wanted], cap=formatting.CAP)
    counts = asked.counts()
    total = None if counts is None else sum(counts.values())
    return page(
        "bulk.html",
        asked=asked,
        counts=counts,
        fitting=fitting,
        total=total,
        to_type=_to_type(total),
        is_operation=total is None or total > AT_ONCE,
    )


@screen.action("/act", needs=Role.OPERATOR)
def act() -> ResponseReturnValue:
    """Do it and lead back to the list as it was, or begin an operation and lead to that."""
    asked = _asked()
    counts = asked.counts()
    total = None if counts is None else sum(counts.values())
    typed = request.form.get("typed", "").replace(",", "").strip().lower()
    to_type = _to_type(total)
    if to_type and typed != to_type:
        said = "more than the form said" if total is None else f"{total:,} jobs by now"
        told = f"Nothing was changed: these are {said}, so that {to_type!r} has to be typed."
        cookies.notice(told, kind="problem")
        return redirect(link("jobs", **asked.given.address))
    by = access.user().name
    if total is None or total > AT_ONCE:
        made = operations.begin(
            asked.action,
            asked.wanted,
            by=by,
            organization_id=access.user().organization_id,
            queue=asked.to_queue,
            total=total or 0,
        )
        return redirect(link("operations_one", operation_id=made))
    done = _do(asked, by)
    cookies.notice(_said(done), kind="done" if done.count else "problem")
    return redirect(link("jobs", **asked.given.address))


def _do(asked: Asked, by: str) -> Done:
    if asked.action == "move":
        return actions.move(asked.wanted, queue=asked.to_queue, by=by)
    done: Done = getattr(actions, asked.action)(asked.wanted, by=by)
    return done


def _to_type(total: int | None) -> str | None:
    """Return what somebody has to type to be sure; None for a few jobs."""
    if total is None:
        return ALL
    return str(total) if total > SURE else None


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
    to_queue = filters.storable("to_queue", request.form.get("to_queue", "")).strip() or None
    return Asked(action, ids if request.form.get("which") != "matching" else (), given, to_queue)


def _said(done: Done) -> str:
    changed = formatting.DONE[done.action]
    if done.count:
        parts = [f"{formatting.plural(done.count, 'job')} {changed}."]
    else:
        parts = [f"Nothing was changed: none of these jobs can be {changed} as it is now."]
    if done.asked:
        parts.append(f"{done.asked:,} of them run, and were asked to stop.")
    if done.waiting:
        parts.append(f"{done.waiting:,} wait for QStash, and the sweep publishes them.")
    parts += [f"Not retried: {reason}." for reason in done.refused[:3]]
    if len(done.refused) > 3:  # noqa: PLR2004 - that is enough to read
        parts.append("Others were not retried either, for the same reason.")
    return " ".join(parts)
