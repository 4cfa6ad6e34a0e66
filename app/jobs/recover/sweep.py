"""Repair what crashes and outages leave behind: one routine, safe to run at any time.

    rescue       processing, but its lease ran out      → pending and published again, or dead
    publish      pending, but QStash never got it       → published
    release      waiting for a pause that has ended     → published
    take turns   waiting for a run that has ended       → published
    catch up     a schedule's firing that was missed    → recorded and published
    take over    waiting, but QStash has given it up    → failed, dead

Any number of sweeps may run at once on any number of machines: rows are taken with SKIP LOCKED, and
every change looks for the state that it starts from.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from flask import current_app
from sqlalchemy import Connection, Row

from ..errors import DatabaseUnavailable, InvalidDelivery, PublishError, PublishUnavailable
from ..events import JobDied, emit
from ..publish import outbox, quota, relay, turns
from ..registry import registry_of
from ..table import batches, firings, held, marks, memory, sweep_sql, workflows
from ..table.db import in_transaction
from ..table.models import Status
from ..table.sweep_sql import SweepStep
from . import catching_up, given_up
from .given_up import GivenUpMessage, GiveUpResult, forward
from .report import SweepReport

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
#: How long QStash keeps dead letters on any plan.
LONGEST_KEPT = timedelta(days=memory.REMEMBERED)
#: After this many jobs that QStash does not accept, a sweep leaves the rest to the next.
PATIENCE = 30


def sweep(*, grace: float = GRACE, asks: bool = False) -> SweepReport:
    """Rescue, publish and take over what needs it.

    Each step is taken whatever became of the one before, and each row by itself where they cannot
    be taken together: one that is broken holds up no other.

    Args:
        grace: Seconds for which a row is left alone since its last change or its lease's end.
        asks: Ask QStash even where its daily quota is known to be used up.

    Raises:
        DatabaseUnavailable: Whatever was done until then is done.
    """
    report = SweepReport()
    if not asks:
        quota.follow(outbox.publisher().quota)
    steps: list[Callable[[], None]] = [
        lambda: _rescue(report, grace),
        _settle_twins,
        _end_waits,
        lambda: _publish(report, grace),
        lambda: release(report),
        _take_turns,
        lambda: catching_up.catch_up(report),
        lambda: _take_over_dead_letters(report),
        _forget,
    ]
    for step in steps:
        _take(step, report)
    did = {"did": str(report), "clean": report.is_clean}
    in_transaction(lambda tx: marks.note(tx, marks.SWEEP, did))
    if report != SweepReport(quota_until=report.quota_until):
        level = logging.INFO if report.is_clean else logging.ERROR
        log.log(level, "[jobs] Swept", extra={"did": str(report)})
    return report


def in_turn(every: float) -> SweepReport | None:
    """Sweep, unless a process has begun to within the last `every` seconds; raises as `sweep`."""
    if in_transaction(lambda tx: marks.take_turn(tx, marks.SWEEP_TURN, every)):
        return sweep()
    return None


def last() -> marks.Noted | None:
    """Return when the last sweep ended, with what it did; None if there was none.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    return in_transaction(lambda tx: marks.find(tx, marks.SWEEP))


def _forget() -> None:
    for forget in (memory.forget, marks.forget, batches.forget, firings.forget):
        in_transaction(forget)


def _take(step: Callable[[], None], report: SweepReport) -> None:
    try:
        step()
    except DatabaseUnavailable:
        raise
    except PublishError as error:
        report.problem = report.problem or str(error)
    except Exception as error:
        log.exception("[jobs] Sweep step failed")
        report.problem = report.problem or f"{type(error).__name__}; the log says more"


def _rescue(report: SweepReport, grace: float) -> None:
    """Put jobs back whose lease ran out, and have QStash forget the messages that brought them."""
    known = relay.known_types()
    for rows in _batches(report, sweep_sql.RESCUE, grace=grace):
        by_status = {
            status: [row for row in rows if row.status == status] for status in set(Status)
        }
        report.rescued += len(by_status[Status.PENDING])
        report.abandoned += len(by_status[Status.FAILED])
        for row in by_status[Status.FAILED]:
            emit(JobDied(row.job_type))
        report.cancelled += len(by_status[Status.CANCELLED])
        done = relay.publish([r for r in by_status[Status.PENDING] if r.job_type in known])
        report.refused += done.refused
        relay.withdraw([row.old_message_id for row in rows if row.old_message_id])


def _settle_twins() -> None:
    """Complete what a person put back and enqueued again as well, once that is completed."""
    for row in in_transaction(lambda tx: tx.execute(sweep_sql.DONE_BY_TWIN).all()):
        about = {"jobId": str(row.job_id), "twin": str(row.twin_id)}
        log.info("[jobs] Job completed by its twin", extra=about)


def _end_waits() -> None:
    """End the steps whose time to wait for a signal is up; each is published by its own batch."""
    for step in in_transaction(lambda tx: workflows.late(tx, limit=BATCH * MAX_BATCHES)):
        if in_transaction(lambda tx, step=step: workflows.hear(tx, step, None)):  # type: ignore[misc]  # mypy cannot infer a default's type
            log.info("[jobs] Wait timed out", extra={"batchId": step[0], "step": step[1]})
            relay.publish_started(step[0])


def _publish(report: SweepReport, grace: float) -> None:
    """Publish what is in the outbox, until QStash takes no more."""
    gate = outbox.publisher().quota
    if gate.closed:
        _wait_for_quota(report, gate.closed)
        return
    types = relay.known_types()
    waiting = 0
    for rows in _batches(report, sweep_sql.PUBLISH, grace=grace, types=types):
        done = relay.publish(rows)
        report.published += done.published
        report.refused += done.refused
        waiting += done.waiting
        if done.published and done.trouble is None:
            quota.renewed()
        if done.trouble and (done.trouble.is_outage or waiting >= PATIENCE):
            break
    if gate.closed:
        _wait_for_quota(report, gate.closed)
    elif waiting:
        reason = f"jobs that could not be published: {waiting}; the log says why"
        raise PublishUnavailable(reason)


def release(report: SweepReport, *, batches: int = MAX_BATCHES) -> None:
    """Publish what waited for pauses that have ended, until QStash takes no more.

    Args:
        report: Is told.
        batches: How many at most; a later sweep goes on.
    """
    ended = in_transaction(held.ended)
    if not ended or outbox.publisher().quota.closed:
        return
    given = {"ended": ended, "types": relay.known_types()}
    for rows in islice(_batches(report, held.RELEASE, **given), batches):
        done = relay.publish(rows)
        report.resumed += done.published
        report.refused += done.refused
        if done.trouble:
            break


def _take_turns() -> None:
    """Publish the firings whose turn it is, where the end of the run before was not acted upon."""
    if outbox.publisher().quota.closed:
        return
    for schedule_id in in_transaction(firings.with_a_line):
        turns.publish_next(schedule_id)


def _wait_for_quota(report: SweepReport, known: quota.UsedUp) -> None:
    if in_transaction(lambda tx: tx.execute(sweep_sql.UNPUBLISHED, {"cap": 1}).one())[0]:
        report.quota_until = known.until.isoformat()


def _take_over_dead_letters(report: SweepReport) -> None:
    """Mark jobs dead that QStash has given up without our hearing of it."""
    oldest = in_transaction(lambda tx: tx.execute(sweep_sql.OLDEST_WAITING).scalar())
    now = datetime.now(UTC)
    since = max(min(oldest or now, now - RECENT), now - LONGEST_KEPT)
    for page in dead_letter_pages(since=since):
        for letter in unsettled(page):
            try:
                report.dead_letters += take_over(letter)
            except (DatabaseUnavailable, PublishUnavailable):
                raise
            except Exception:
                log.exception("[jobs] Dead letter set aside", extra={"jobId": letter.job_id})
                report.set_aside.append(letter.job_id)


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
        page = publisher.call(lambda qstash: qstash.dlq.list(**asked))
        yield [letter for letter in page.messages if letter.url in ours]
        if not page.cursor:
            return
        asked["cursor"] = page.cursor


def unsettled(page: Sequence["DlqMessage"]) -> list[GivenUpMessage]:
    """Return those dead letters whose jobs wait for just them, or were never recorded here.

    All of a job's: of two of one job, either may be the one that the row waits for.
    """
    letters = [letter for letter, _ in jobs_of(page)]
    job_ids = [letter.job_id for letter in letters]
    rows = in_transaction(lambda tx: tx.execute(sweep_sql.STANDING, {"job_ids": job_ids}).all())
    standing = {str(row.job_id): row for row in rows}
    deleted = in_transaction(lambda tx: memory.deleted(tx, job_ids))
    return [
        letter
        for letter in letters
        if letter.job_id not in deleted and _concerns(letter, standing.get(letter.job_id))
    ]


def jobs_of(page: Sequence["DlqMessage"]) -> Iterator[tuple[GivenUpMessage, "DlqMessage"]]:
    """Yield the entries that carry a job of ours, each read and as it is."""
    for entry in page:
        try:
            yield given_up.from_queue(entry), entry
        except InvalidDelivery:
            continue  # Not a job; it stays where a person can see it, in QStash's queue.


def _concerns(letter: GivenUpMessage, row: Row[Any] | None) -> bool:
    if row is None:
        return True
    is_awaited = row.is_first if row.message_id is None else row.message_id == letter.message_id
    return is_awaited and not row.is_final


def take_over(letter: GivenUpMessage) -> bool:
    """Mark the job dead and tell who asked to be told; tell whether that settled the letter."""

    def work(tx: Connection) -> GiveUpResult:
        result = given_up.record(tx, letter)
        if result.changed and result.dead:
            # Before the commit: a crash in between tells twice, which QStash drops, not never.
            forward(letter)
        return result

    result = in_transaction(work)
    if result.changed and result.dead:
        emit(JobDied(letter.row["job_type"]))
    return result.changed or result.put_back


def _batches(report: SweepReport, kind: SweepStep, **given: Any) -> Iterator[Sequence[Row[Any]]]:
    """Take rows, each batch in its own transaction, until there are no more."""
    aside: list[int] = []
    for _ in range(MAX_BATCHES):
        batch = _Batch(kind, {**given, "aside": aside})
        try:
            found, rows = in_transaction(batch.take)
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is about one of them
            found, rows, bad = batch.take_each()
            aside += bad
            report.set_aside += bad.values()
        aside += [row.id for row in rows]  # once in a sweep, also where no grace is given
        if rows:
            yield rows
        if found < BATCH:
            return


@dataclass(frozen=True, slots=True)
class _Batch:
    """The next rows of a kind."""

    kind: SweepStep
    given: dict[str, Any]

    def take(self, connection: Connection) -> tuple[int, Sequence[Row[Any]]]:
        """Return how many were found, and those that were taken."""
        found = connection.execute(self.kind.find, {**self.given, "limit": BATCH}).all()
        return len(found), self._take(connection, [row.id for row in found])

    def take_each(self) -> tuple[int, list[Row[Any]], dict[int, str]]:
        """Do the same row by row; also return the rows that failed, by id."""
        given = {**self.given, "limit": BATCH}
        found = in_transaction(lambda tx: tx.execute(self.kind.find, given).all())
        taken: list[Row[Any]] = []
        bad: dict[int, str] = {}
        for row in found:
            try:
                taken += in_transaction(lambda tx, row=row: self._take(tx, [row.id]))  # type: ignore[misc]  # mypy cannot infer a default's type
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("[jobs] Job set aside", extra={"jobId": str(row.job_id)})
                bad[row.id] = str(row.job_id)
        return len(found), taken, bad

    def _take(self, connection: Connection, ids: list[int]) -> Sequence[Row[Any]]:
        if not ids:
            return []
        if self.kind is sweep_sql.RESCUE:  # which ends some of them for good
            batches.lock_slots(connection, ids)
        return connection.execute(self.kind.take, {**self.given, "ids": ids}).all()
