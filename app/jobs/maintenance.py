"""What crashes and outages leave behind, put right: one routine, safe to run at any time.

    rescue       processing, but its lease ran out      → pending and published anew, or dead
    publish      pending, but QStash never got it       → published
    take over    waiting, but QStash has given it up    → failed, dead

Any number of sweeps may run at once on any number of machines: rows are taken with SKIP LOCKED, and
every change looks for the state that it starts from.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import current_app
from sqlalchemy import Connection, Row

from app.jobs import dead_letters, outbox, republish, upkeep
from app.jobs.dead_letters import DeadLetter
from app.jobs.errors import InvalidDelivery, PublishError, PublishUnavailable
from app.jobs.forwarding import forward
from app.jobs.models import Status
from app.jobs.observers import Died, tell
from app.jobs.registry import registry_of
from app.jobs.transactions import in_transaction

if TYPE_CHECKING:
    from qstash.dlq import DlqMessage

log = logging.getLogger(__name__)

#: Seconds that a row is left alone: an enqueue may be publishing it, QStash may be about to retry.
GRACE = 30.0
BATCH = 100
#: How many batches one sweep takes, so that it ends; the next goes on.
MAX_BATCHES = 100
#: How far back dead letters are read whose jobs were never recorded here.
RECENT = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Report:
    """What one sweep did, in jobs.

    Attributes:
        published: Handed to QStash.
        refused: Failed and dead, as QStash will not take them.
        rescued: Put back after their process died, and published anew.
        abandoned: Dead, as their process died too often.
        cancelled: Cancelled while they ran, which their process did not live to see.
        dead_letters: Failed and dead, as QStash had given them up.
        problem: Why the sweep stopped early; the next goes on.
    """

    published: int = 0
    refused: int = 0
    rescued: int = 0
    abandoned: int = 0
    cancelled: int = 0
    dead_letters: int = 0
    problem: str | None = None

    def __str__(self) -> str:
        counts = {name: count for name, count in asdict(self).items() if name != "problem"}
        did = [f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if count]
        stopped = [f"stopped early: {self.problem}"] if self.problem else []
        return ", ".join(did + stopped) or "nothing to do"


def sweep(*, grace: float = GRACE) -> Report:
    """Rescue, publish and take over what needs it.

    Args:
        grace: Seconds for which a row is left alone since its last change or its lease's end.

    Raises:
        DatabaseUnavailable: Whatever was done until then is done.
    """
    report = Report()
    try:
        _rescue(report, grace)
        _publish(report, grace)
        _take_over_dead_letters(report)
    except PublishError as error:
        report.problem = str(error)
    if report != Report():
        log.info("[jobs] Swept", extra={"did": str(report)})
    return report


def _rescue(report: Report, grace: float) -> None:
    """Put jobs back whose lease ran out, and have QStash forget the messages that brought them."""
    for rows in _batches(upkeep.RESCUE, grace=grace):
        by_status = {
            status: [row for row in rows if row.status == status] for status in set(Status)
        }
        report.rescued += len(by_status[Status.PENDING])
        report.abandoned += len(by_status[Status.FAILED])
        for row in by_status[Status.FAILED]:
            tell(Died(row.job_type))
        report.cancelled += len(by_status[Status.CANCELLED])
        known = republish.known_types()
        done = republish.publish([r for r in by_status[Status.PENDING] if r.job_type in known])
        report.refused += done.refused
        republish.withdraw([row.old_message_id for row in rows if row.old_message_id])


def _publish(report: Report, grace: float) -> None:
    """Publish what is in the outbox; the first that cannot be published for now ends it."""
    for row in in_transaction(lambda tx: tx.execute(upkeep.DONE_BY_TWIN).all()):
        about = {"jobId": str(row.job_id), "twin": str(row.twin_id)}
        log.info("[jobs] Done by the job that was enqueued anew", extra=about)
    types = republish.known_types()
    for rows in _batches(upkeep.TAKE_UNPUBLISHED, grace=grace, types=types):
        done = republish.publish(rows)
        report.published += done.published
        report.refused += done.refused
        if done.waiting:
            waiting = f"jobs that could not be published: {done.waiting}; the log says why"
            raise PublishUnavailable(waiting)


def _take_over_dead_letters(report: Report) -> None:
    """Mark jobs dead that QStash has given up without our hearing of it."""
    oldest = in_transaction(lambda tx: tx.execute(upkeep.OLDEST_WAITING).scalar())
    recent = datetime.now(UTC) - RECENT
    for page in dead_letter_pages(since=min(oldest or recent, recent)):
        report.dead_letters += sum(take_over(letter) for letter in unsettled(page))


def dead_letter_pages(since: datetime | None = None) -> Iterator[Sequence["DlqMessage"]]:
    """Yield QStash's dead letters of our endpoints, page by page.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell.
    """
    publisher = outbox.publisher()
    ours = {publisher.destination(config.endpoint) for config in registry_of(current_app)}
    asked: dict[str, Any] = {"count": BATCH}
    if since is not None:
        asked["filter"] = {"from_time": int(since.timestamp() * 1000)}
    while True:
        page = publisher.ask(lambda qstash: qstash.dlq.list(**asked))
        yield [letter for letter in page.messages if letter.url in ours]
        if not page.cursor:
            return
        asked["cursor"] = page.cursor


def unsettled(page: Sequence["DlqMessage"]) -> list[DeadLetter]:
    """Return the jobs among dead letters that are not in a final state here."""
    letters = {}
    for entry in page:
        try:
            letter = dead_letters.from_queue(entry)
        except InvalidDelivery:
            continue  # Not a job; it stays where a person can see it, in QStash's queue.
        letters[letter.job_id] = letter
    found = {"job_ids": list(letters)}
    final = in_transaction(lambda tx: set(tx.execute(upkeep.FINAL, found).scalars()))
    return [letter for job_id, letter in letters.items() if job_id not in set(map(str, final))]


def take_over(letter: DeadLetter) -> bool:
    """Mark the job dead and tell who asked to be told; tell whether there was anything to mark."""

    def work(tx: Connection) -> bool:
        changed = dead_letters.record(tx, letter).changed
        if changed:
            # Before the commit: a crash in between tells twice, which QStash drops, not never.
            forward(letter)
        return changed

    changed = in_transaction(work)
    if changed:
        tell(Died(letter.row["job_type"]))
    return changed


def _batches(statement: Any, **given: Any) -> Iterator[Sequence[Row[Any]]]:
    """Take rows, each batch in a transaction of its own, until there are no more."""
    for _ in range(MAX_BATCHES):
        values = {**given, "limit": BATCH}
        rows = in_transaction(lambda tx, values=values: tx.execute(statement, values).all())  # type: ignore[misc]  # mypy cannot infer a default's type
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
