"""However many enqueue a unique job at once, and in whatever order: there is one of it."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import combinations, product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, text
from sqlalchemy.orm import Session

from app.db import db
from app.jobs import JobExecution, JobId, Unique, enqueue, enqueue_many
from app.jobs.testing import deliver
from tests.support.apps import connected, settings
from tests.support.rows import Rows, change_row
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
#: Of each race; UNIQUE_RACE=10000 has more.
TIMES = int(os.environ.get("UNIQUE_RACE", "600"))
PROCESSES, THREADS = 3, 5
ONE = Unique(fields=("action",))
ONCE_MORE = Unique(fields=("action",), once_more=True)
NEWEST = Unique(fields=("action",), on_conflict="replace")
SAME = {"action": "none"}

Race = Callable[[str], tuple[Counter[str], set[str]]]


@pytest.fixture
def race(database_url: str, app: Flask, tmp_path: Path) -> Iterator[Race]:
    """Return what has several processes, with several connections each, enqueue at once."""
    own = {**settings(database_url), "TESTING": False, "LOG_LEVEL": "ERROR"}
    given = json.dumps({"settings": own, "instance": str(tmp_path), "threads": THREADS})
    command = [sys.executable, "-m", "tests.jobs.racer", given]
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own command
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(PROCESSES)
        ]
        pipes = [(one.stdin, one.stdout) for one in racers]

        def start(rule: str) -> tuple[Counter[str], set[str]]:
            for ears, _ in pipes:
                print(json.dumps([rule, TIMES // PROCESSES]), file=ears, flush=True)
            counts, ids = Counter[str](), set[str]()
            for line in [told.readline() for _, told in pipes if told is not None]:
                came_to, made = json.loads(line)
                counts.update(came_to)
                ids |= set(made)
            return counts, ids

        assert [told.readline() for _, told in pipes if told is not None] == ["ready\n"] * PROCESSES
        yield start
        for ears, _ in pipes:
            if ears is not None:
                ears.close()


def jobs() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution.job_id).order_by(JobExecution.id)))


def begin(job_id: str) -> None:
    token = {"lease_token": func.gen_random_uuid(), "started_at": func.now()}
    change_row(job_id, status="processing", **token)


def test_of_any_number_of_enqueues_at_once_one_is_recorded_and_one_follows(race: Race) -> None:
    """And of those at a time when the first may begin at any moment, too."""
    counts, ids = race("one")
    assert counts == {"new": 1, "existing": counts.total() - 1}
    assert jobs() == [*ids]
    change_row(jobs()[0], status="completed")

    counts, ids = race("newest")
    assert counts == {"new": 1, "replaced": counts.total() - 1}
    [newest] = ids
    change_row(newest, status="completed")

    with ThreadPoolExecutor(1) as thread:
        racing = thread.submit(race, "once more")
        first = wait_until(lambda: next((one for one in jobs() if one not in {*jobs()[:2]}), None))
        begin(str(first))
        counts, ids = racing.result()
    race("once more")
    counts_after, ids_after = race("once more")

    assert (counts["new"], counts["follow-up"] <= 1) == (1, True)
    assert counts_after == {"existing": counts_after.total()}
    assert len(jobs()) == 4
    assert ids | ids_after == {*jobs()[2:]}


class Caller:
    """A transaction that enqueues, and then ends as it is told; each statement when it is asked."""

    def __init__(self, app: Flask, watching: Connection, rule: Unique, end: str) -> None:
        self.session = Session(db.engine)
        self.app = app
        self.rule = rule
        self.watching = watching
        self.steps = iter([self.enqueue, getattr(self.session, end)])
        self.thread = ThreadPoolExecutor(1)
        self.running: Future[Any] | None = None
        self.job_id = JobId()

    def enqueue(self) -> None:
        self.job_id = enqueue("sample", SAME, unique=self.rule, session=self.session)

    def _do(self, step: Callable[[], object]) -> None:
        with self.app.app_context():
            step()

    def go_on(self) -> None:
        """Begin the next step, and return when it is done or waits for a lock."""
        if self.running is not None and not self.running.done():
            return
        if (step := next(self.steps, None)) is None:
            return
        self.running = self.thread.submit(self._do, step)
        wait_until(lambda: self.running is None or self.running.done() or self._waits())

    def _waits(self) -> bool:
        return bool(self.watching.scalar(WAITING))

    def finish(self) -> bool:
        """Go on where that is possible; tell whether that was the end."""
        if self.running is not None and self.running.done():
            self.running.result()
            self.running = None
        if self.running is None and (step := next(self.steps, None)) is not None:
            self.running = self.thread.submit(self._do, step)
        if self.running is not None:
            return False
        self.thread.shutdown()
        self.session.close()
        return True


#: How many wait for a lock of another's.
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@contextmanager
def watching() -> Iterator[Connection]:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


ORDERS = [[0 if place in first else 1 for place in range(4)] for first in combinations(range(4), 2)]
ENDS = list(product(["commit", "rollback"], repeat=2))


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("rule", [ONE, NEWEST, ONCE_MORE], ids=["one", "newest", "once more"])
def test_two_transactions_in_every_order(app: Flask, rule: Unique) -> None:
    for order, ends in product(ORDERS, ENDS):
        with watching() as connection:
            callers = [Caller(app, connection, rule, end) for end in ends]
            for number in order:
                callers[number].go_on()
            wait_until(lambda callers=callers: sum(one.finish() for one in callers) == 2)  # type: ignore[misc]
        kept = [one.job_id for one, end in zip(callers, ends, strict=True) if end == "commit"]
        # What is told to who commits is there; and never two.
        assert {*jobs()} == {*kept}, (order, ends)
        assert len({*kept}) <= 1, (order, ends)
        if ends == ("commit", "commit"):
            other = "replaced" if rule is NEWEST else "existing"
            assert sorted(one.job_id.enqueued_as for one in callers) == sorted(["new", other])
        db.session.execute(text("TRUNCATE job_executions CASCADE"))
        db.session.commit()


@pytest.mark.usefixtures("published")
def test_a_job_does_not_begin_before_who_was_told_of_it_has_committed(
    app: Flask, rows: Rows
) -> None:
    job_id = enqueue("sample", SAME, unique=ONE)
    with Session(db.engine) as session, ThreadPoolExecutor(1) as thread:
        assert enqueue("sample", SAME, unique=ONE, session=session) == job_id

        def run() -> Any:
            with app.app_context():
                return deliver(job_id).json

        running = thread.submit(run)
        with watching() as connection:
            wait_until(lambda: running.done() or connection.scalar(WAITING))
        assert not running.done()
        session.commit()
        assert running.result()["success"]

    assert rows[job_id].status == "completed"


@pytest.mark.usefixtures("published")
def test_a_rollback_leaves_the_job_as_it_was(rows: Rows) -> None:
    enqueue("sample", SAME, unique=ONE, session=db.session)
    db.session.rollback()
    assert not jobs()

    first = enqueue("sample", SAME, unique=NEWEST, delay="1h")
    enqueue("sample", {**SAME, "count": 2}, unique=NEWEST, session=db.session)
    enqueue_many("sample", [{**SAME, "count": 3}], unique=NEWEST, session=db.session)
    db.session.rollback()

    row = rows[first]
    assert (row.payload["payload"]["count"], row.reschedules) == (0, 0)
    assert enqueue("sample", SAME, unique=ONE) == first


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("lost", ["INSERT INTO job_executions", "AS job\n       SET payload"])
def test_an_answer_that_is_lost_doubles_nothing(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The job that the lost statement made, or replaced, may even have begun meanwhile."""
    rule = Unique(fields=("action",), while_=("pending",), on_conflict="replace")
    before = enqueue("sample", SAME, unique=rule, delay="1h") if "SET" in lost else None
    execute, left = psycopg.Cursor.execute, [1]

    def losing(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        answer = execute(cursor, query, *args, **more)
        if lost in str(query) and left:
            left.clear()
            with connected() as other:
                begun = "UPDATE job_executions SET status = 'processing', started_at = now()"
                other.execute(begun)
            cursor.connection.close()
            raise psycopg.OperationalError("the connection was lost")
        return answer

    monkeypatch.setattr(psycopg.Cursor, "execute", losing)

    made = enqueue("sample", {**SAME, "count": 5}, unique=rule)

    assert not left
    assert jobs() == [before or made]
    assert made.enqueued_as == ("replaced" if before else "new")
    assert rows[made].payload["payload"]["count"] == 5
