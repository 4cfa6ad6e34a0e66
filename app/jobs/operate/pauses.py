"""Pause and resume a job type, a queue, a flow-control key or an organization.

Jobs that a pause holds are accepted and recorded, and wait: those that are enqueued or put back
stay in the outbox, and those that QStash delivers go back there. It costs them no retry. Handlers
that run are not interrupted. A pause is a row, so that it holds in all processes with its commit,
and over deploys.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from ..errors import InvalidOption, quoted
from ..recover import sweep
from ..recover.report import SweepReport
from ..registry import get_job_config
from ..table import audit, held, job_rows, pauses
from ..table.db import in_transaction
from ..table.models import JobExecution
from ..table.pauses import Kind, Pause
from ..values import jsonb, options
from ..values.ids import GivenOwnerId, parse_owner_id
from ..values.options import FlowControl

log = logging.getLogger(__name__)

__all__ = ["CAP", "MOST_REASON", "Held", "Kind", "Pause", "Resumed", "pause", "paused", "resume"]

#: Where the counting of jobs that wait for a pause ends.
CAP = 10_000
#: Characters of a reason.
MOST_REASON = 500
#: How many batches a resume publishes by itself; sweeps publish what is left.
BATCHES = 10


@dataclass(frozen=True, slots=True)
class Held:
    """A pause that holds.

    Attributes:
        waiting: How many jobs wait in the outbox for its end; `CAP` means at least so many. Those
            that QStash has yet to deliver are not counted.
        oldest: When the first of them was enqueued; None where none waits.
    """

    pause: Pause
    waiting: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """A pause that has ended.

    Attributes:
        published: How many of the jobs that waited are published by now.
        left: How many are left to the next sweeps; `CAP` means at least so many.
    """

    pause: Pause
    published: int
    left: int


def pause(kind: Kind | str, name: str | GivenOwnerId, *, reason: str, by: str) -> Held:
    """Have the jobs of a type, queue, flow-control key or organization wait; safe to repeat.

    Args:
        kind: "type", "queue", "key" or "organization".
        name: Of the job type, queue or key as the code has it, or the organization's id.
        reason: What those will read who wonder why their jobs wait; replaces an earlier one.
        by: Who does it, for the audit.

    Raises:
        UnknownJobType: There is no such type; the message names the nearest.
        InvalidOption: Another argument makes no sense.
    """
    what = _kind(kind)
    which = _checked(what, name)
    reason, by = _said("reason", reason), _said("by", by)

    def begin(tx: Connection) -> Pause:
        found, is_change = pauses.begin(tx, what, which, reason=reason, by=by)
        if is_change:
            wanted = {what: which, "reason": reason}
            audit.record_action(tx, actor=by, action="pause", wanted=wanted)
        return found

    begun = in_transaction(begin)
    while in_transaction(held.hold) == held.CHUNK:
        pass
    about = {"pause": begun.id, "by": by, "reason": reason}
    log.info("[jobs] Paused", extra=about)
    return _with_queue([begun])[0]


def resume(kind: Kind | str, name: str | GivenOwnerId, *, by: str) -> Resumed:
    """End a pause, and publish what waited for it, the oldest jobs first.

    The first thousand are published before this returns, the others by the next sweeps.

    Raises:
        InvalidOption: That is not paused, or an argument makes no sense.
    """
    what, by = _kind(kind), _said("by", by)
    which = _written(what, name)

    def end(tx: Connection) -> tuple[Pause, int] | None:
        waiting = held.queues(tx, cap=CAP)
        if (found := pauses.end(tx, what, which)) is None:
            return None
        audit.record_action(tx, actor=by, action="resume", wanted={what: found.name})
        return found, waiting[found.id].jobs

    ended = in_transaction(end)
    if ended is None:
        said = f"{what} {quoted(name)} is not paused"
        raise InvalidOption(f"{said}; `flask jobs paused` lists what is")
    log.info("[jobs] Resumed", extra={"pause": ended[0].id, "by": by})
    report = SweepReport()
    sweep.release(report, batches=BATCHES)
    return Resumed(ended[0], report.resumed, max(0, ended[1] - report.resumed))


def paused() -> list[Held]:
    """Return the pauses that hold, the oldest first, each with what waits for it.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    return _with_queue(in_transaction(pauses.all_pauses))


def holding(rows: list[JobExecution]) -> dict[str, Pause]:
    """Return, by job id, the pause that holds each of some jobs; raises as `paused` does."""
    known = {one.id: one for one in in_transaction(pauses.all_pauses)} if rows else {}
    found = {}
    for row in rows:
        candidates = job_rows.that_may_hold(row.job_type, row.options, row.organization_id)
        for candidate in filter(known.__contains__, [row.pause, *candidates]):
            found[row.job_id] = known[str(candidate)]
            break
    return found


def _with_queue(found: list[Pause]) -> list[Held]:
    waiting = in_transaction(lambda tx: held.queues(tx, cap=CAP)) if found else {}
    none = held.Queue(0, None)
    queues = [waiting.get(one.id, none) for one in found]
    return [Held(one, queue.jobs, queue.since) for one, queue in zip(found, queues, strict=True)]


def _kind(kind: Kind | str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        known = ", ".join(Kind)
        raise InvalidOption(f"kind: {quoted(kind)} cannot be paused; give one of {known}") from None


def _checked(kind: Kind, given: object) -> str:
    """Return the name as the jobs' rows have it, if there can be jobs that it holds."""
    name = _written(kind, given)
    match kind:
        case Kind.TYPE:
            return get_job_config(name).type
        case Kind.QUEUE:
            options.normalise({}, {"queue": name})
        case Kind.KEY:
            options.normalise({}, {"flow_control": FlowControl(key=name, rate=1)})
        case Kind.ORGANIZATION:
            pass
    return name


def _written(kind: Kind, given: object) -> str:
    """Return a name as a pause of this kind is found by it."""
    if kind == Kind.ORGANIZATION:
        try:
            return str(parse_owner_id(str(given)))
        except ValueError as error:
            raise InvalidOption(f"organization: {quoted(given)} is not {error}") from None
    if not isinstance(given, str) or jsonb.clean_text(given) != given:
        raise InvalidOption(f"name: {quoted(given)} is not the name of a {kind}, a line of text")
    return given


def _said(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption(f"{name}: {quoted(value)} is not a text")
    text = jsonb.clean_text(value).strip()
    if not text:
        raise InvalidOption(f"{name}: empty; say {'why' if name == 'reason' else 'who'}")
    if len(text) > MOST_REASON:
        raise InvalidOption(f"{name}: has {len(text):,} characters; {MOST_REASON} may be")
    return text
