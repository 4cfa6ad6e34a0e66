"""Two transactions decide the last jobs of a batch, in every order of their statements.

Both end one; or one does, while somebody cancels, deletes or retries the other, or calls the batch
off. Each has a connection and a thread; where one waits for the other's lock, the order goes on
with what the other has left.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from psycopg.errors import SerializationFailure
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import OperationalError

from app.db import db
from app.jobs import JobExecution, batch
from app.jobs.table import action_sql, attempt_sql, attempts, batches, workflows
from app.jobs.table.batch_models import JobBatch
from app.jobs.testing import deliver
from tests.support.sample_jobs import Sample, noop, sample

pytestmark = pytest.mark.usefixtures("published")

#: The statements of a transaction that ends a job: the handler's work, the outcome, the commit.
STATEMENTS = 3


def orders(statements: int) -> list[list[int]]:
    """Return every order of these statements and as many of another transaction's."""
    places = range(STATEMENTS + statements)
    return [
        [0 if place in first else 1 for place in places]
        for first in combinations(places, STATEMENTS)
    ]


ORDERS = orders(STATEMENTS)
OUTCOMES = {
    "completed": attempt_sql.COMPLETE,
    "dead": attempt_sql.FAIL,
    "cancelled": attempt_sql.CANCEL,
}
#: How the batch ends, and which job follows.
ENDS = {
    ("completed", "completed"): ("completed", [1]),
    ("completed", "dead"): ("failed", [2]),
    ("cancelled", "completed"): ("cancelled", []),
}


class Party:
    """A transaction, statement by statement."""

    def __init__(
        self, connection: Connection, watching: Connection, steps: Sequence[Callable[[], object]]
    ) -> None:
        self.connection = connection
        self.watching = watching
        self.pid = connection.scalar(text("SELECT pg_backend_pid()"))
        connection.rollback()
        self.steps = iter([*steps, connection.commit])
        self.thread = ThreadPoolExecutor(1)
        self.running: Future[Any] | None = None

    def go_on(self) -> None:
        """Begin the next statement, and return when it is done or waits for a lock."""
        if self.is_waiting:
            return
        self._result()
        if (step := next(self.steps, None)) is None:
            return
        self.running = self.thread.submit(step)
        while not self._result(patience=0.003) and not self._waits_for_a_lock():
            pass

    def _result(self, patience: float | None = None) -> bool:
        """Raise what the last statement raised; tell whether it is done."""
        try:
            if self.running is not None:
                self.running.result(patience)
        except TimeoutError:
            return False
        return True

    @property
    def is_waiting(self) -> bool:
        return self.running is not None and not self.running.done()

    def _waits_for_a_lock(self) -> bool:
        query = text("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = :pid")
        return bool(self.watching.scalar(query, {"pid": self.pid}))

    def finish(self) -> None:
        self._result()
        for step in self.steps:
            step()
        self.thread.shutdown()


class Ending(Party):
    """A transaction that ends a job."""

    def __init__(
        self, connection: Connection, watching: Connection, job_id: str, outcome: str
    ) -> None:
        super().__init__(connection, watching, [self.work, self.end])
        self.job_id = job_id
        self.outcome = outcome

    def work(self) -> None:
        insert = text("INSERT INTO effects (job_id, note) VALUES (:job_id, 'work')")
        self.connection.execute(insert, {"job_id": self.job_id})

    def end(self) -> None:
        token = TOKENS[self.job_id]
        given = {"result": None, "progress": None, "error": "x", "permanent": True}
        given |= {"job_id": self.job_id, "token": token, "attempt": "{}"}
        row = attempts.within(self.connection)(OUTCOMES[self.outcome], given)
        assert row is not None


TOKENS: dict[str, str] = {}


def last_two(slots: int) -> tuple[str, list[str]]:
    """Record a batch whose last two jobs run, in so many slots; return its id and theirs."""
    then, on_failure = (sample.s(Sample("none", number)) for number in (1, 2))
    with batch("two", then=then, on_failure=on_failure) as made:
        jobs = made.enqueue_many([noop.s(Sample("none"))] * 2)
    for number, job_id in enumerate(jobs):
        TOKENS[job_id] = str(uuid4())
        db.session.execute(
            update(JobExecution)
            .where(JobExecution.job_id == job_id)
            .values(status="processing", lease_token=TOKENS[job_id], slot=number % slots)
        )
    if slots == 1:
        db.session.execute(text("UPDATE job_batch_slots SET jobs = 2, pending = 2 WHERE slot = 0"))
        db.session.execute(text("DELETE FROM job_batch_slots WHERE slot = 1"))
    db.session.commit()
    return made.id, jobs


@contextmanager
def connections(isolation: str) -> Iterator[list[Connection]]:
    """Open one to watch by, and one for each transaction."""
    with ExitStack() as stack:
        watching, *both = (stack.enter_context(db.engine.connect()) for _ in range(3))
        watching.execution_options(isolation_level="AUTOCOMMIT")
        for connection in both:
            connection.execution_options(isolation_level=isolation)
        yield [watching, *both]


@contextmanager
def endings(jobs: list[str], outcomes: tuple[str, str], isolation: str) -> Iterator[list[Ending]]:
    with connections(isolation) as (watching, *both):
        about = zip(both, jobs, outcomes, strict=True)
        yield [Ending(connection, watching, *job) for connection, *job in about]


def found(batch_id: str) -> tuple[str, list[int]]:
    db.session.rollback()
    state = db.session.scalars(select(JobBatch.state).where(JobBatch.id == batch_id)).one()
    rows = db.session.scalars(
        select(JobExecution)
        .where(JobExecution.batch_id == batch_id, JobExecution.slot.is_(None))
        .order_by(JobExecution.id)
    )
    return state, [row.payload["payload"]["count"] for row in rows]


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("outcomes", ENDS, ids="-".join)
def test_in_every_order_one_of_them_ends_the_batch(
    app: Flask, slots: int, outcomes: tuple[str, str]
) -> None:
    for order in ORDERS:
        batch_id, jobs = last_two(slots)
        with endings(jobs, outcomes, "READ COMMITTED") as both:
            for number in order:
                both[number].go_on()
            for ending in sorted(both, key=lambda one: one.is_waiting):
                ending.finish()

        assert found(batch_id) == ENDS[outcomes], order


def by_hand(what: str, connection: Connection, batch_id: str, job_id: str) -> list[Any]:
    """Return the statements of what a person does to a batch's other job, or to the batch."""
    key = db.session.scalars(select(JobExecution.id).where(JobExecution.job_id == job_id)).one()
    db.session.rollback()
    given = {"ids": [key]}
    locks = [
        lambda: connection.execute(
            text("SELECT FROM job_executions WHERE id = ANY(:ids) FOR UPDATE"), given
        ),
        lambda: batches.lock_slots(connection, [key]),
    ]
    off: list[str] = []

    def each(ids: list[str], act: Callable[[Connection, str], None]) -> None:
        for one in ids:
            act(connection, one)

    statements: dict[str, list[Any]] = {
        "cancel": [*locks, lambda: connection.execute(action_sql.CANCEL, given)],
        "retry": [*locks, lambda: connection.execute(action_sql.RETRY, given)],
        "delete": [
            lambda: connection.execute(
                text("DELETE FROM job_executions WHERE id = ANY(:ids)"), given
            )
        ],
        "call off": [
            lambda: off.extend([batch_id] * batches.call_off(connection, batch_id)),
            lambda: each(off, workflows.stop_listening),
            lambda: each(off, batches.advance),
        ],
    }
    return statements[what]


#: How many statements it takes with the commit, what the other job is before, and all that may have
#: become of the batch. A retry may come before the end or after it, and a batch that has ended is
#: not called off.
BY_HAND: dict[str, tuple[int, dict[str, Any], list[tuple[str, list[int]]]]] = {
    "cancel": (4, {"status": "pending"}, [("cancelled", [])]),
    "delete": (2, {"status": "pending"}, [("cancelled", [])]),
    "retry": (
        4,
        {"status": "failed", "dead_at": text("now()")},
        [("running", []), ("running", [2])],
    ),
    "call off": (4, {"status": "completed"}, [("cancelled", []), ("completed", [1])]),
}


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("what", BY_HAND)
def test_in_every_order_a_person_and_the_last_job_agree(app: Flask, slots: int, what: str) -> None:
    statements, before, ends = BY_HAND[what]
    seen = []
    for order in orders(statements):
        batch_id, (last, other) = last_two(slots)
        is_other = JobExecution.job_id == other
        db.session.execute(update(JobExecution).where(is_other).values(**before, lease_token=None))
        db.session.commit()
        with connections("READ COMMITTED") as (watching, one, two):
            steps = by_hand(what, two, batch_id, other)
            both = [Ending(one, watching, last, "completed"), Party(two, watching, steps)]
            for number in order:
                both[number].go_on()
            for party in sorted(both, key=lambda one: one.is_waiting):
                party.finish()

        seen.append(found(batch_id))
        assert seen[-1] in ends, order
        if what == "retry":
            deliver(other)
            assert found(batch_id) == ("completed", [*seen[-1][1], 1]), order
    assert all(end in seen for end in ends)


def test_with_one_snapshot_for_a_transaction_the_second_fails_and_does_so_again(
    app: Flask,
) -> None:
    failures = 0
    for order in ORDERS:
        batch_id, jobs = last_two(2)
        with endings(jobs, ("completed", "completed"), "REPEATABLE READ") as both:
            for ending in both:
                ending.go_on()
            for number in order:
                try:
                    both[number].go_on()
                except OperationalError as error:
                    failures += _undo(both[number], error)
            for ending in sorted(both, key=lambda one: one.is_waiting):
                try:
                    ending.finish()
                except OperationalError as error:
                    failures += _undo(ending, error)

        assert found(batch_id) == ("completed", [1]), order
    assert failures


def _undo(ending: Ending, error: OperationalError) -> int:
    """End the job by another transaction, as its next attempt would."""
    assert isinstance(error.orig, SerializationFailure)
    ending.connection.rollback()
    ending.running, ending.steps = None, iter(())
    again = Ending(ending.connection, ending.watching, ending.job_id, ending.outcome)
    again.finish()
    return 1
