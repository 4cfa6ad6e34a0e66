"""No sequence of events makes two of a unique job, tells a caller an untruth, or loses a job.

Hypothesis makes up what is enqueued by which rules, and what becomes of it: messages come in any
order, late, twice or not at all, handlers end in every way and beside each other, processes die at
a commit or at QStash, people cancel, retry, delete and pause, periods end, sweeps come. What each
job is at comes from its row (see `test_state_machine`); whom it keeps out then, and what an enqueue
must come to, is said here as docs/unique.md has it. `HYPOTHESIS_PROFILE=thorough` tries far more.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.db import db
from app.jobs import JobBlueprint, JobId, NotUnique, Unique, enqueue, enqueue_many
from app.jobs.operate import actions, pauses
from app.jobs.recover.sweep import sweep
from app.jobs.table.filters import Filter
from tests.support.machines import examples, limited
from tests.support.mortal import dying_at
from tests.support.sample_jobs import SampleSchema
from tests.support.simulated_qstash import (
    OUTCOMES,
    Run,
    Sent,
    SimulatedQStash,
    effect,
    obey,
    report_given_up,
    simulated,
)
from tests.support.transitions import watched

BY: Any = {"fields": ("action",)}
RULES = {
    "return": Unique(**BY),
    "replace": Unique(**BY, on_conflict="replace"),
    "raise": Unique(**BY, on_conflict="raise"),
    "debounce": Unique(**BY, debounce="30s"),
    "once more": Unique(**BY, once_more=True),
    "once more, debounced": Unique(**BY, once_more=True, debounce="30s"),
    "while pending": Unique(**BY, while_=("pending",)),
    "replaced while pending": Unique(**BY, while_=("pending",), on_conflict="replace"),
    "for a period": Unique(**BY, period="10m"),
    "completed": Unique(**BY, period="1h", while_=("pending", "processing", "completed")),
}
#: Most examples have one rule; of two, callers give now the one and now the other.
GIVEN = [["once more"], *([one] for one in RULES), ["return", "once more"], ["raise", "debounce"]]
KEYS = st.sampled_from(["a", "a", "a", "b"])
WHICH = st.integers(0, 20)
#: At which point a process dies, if it does.
DEATHS = st.one_of(st.just(0), st.just(0), st.integers(1, 16))
OUTCOME = st.sampled_from(["completed", *OUTCOMES])
EVENTS = ["leases run out", "sweep", "report", "the period ends", "resume"]
EVENTS += ["pause", "qstash is away", "delete past us"]
#: How many handlers run beside each other.
MOST_RUNNING = 3
#: How often what is left must be delivered and swept until all is over.
PATIENCE = 40

bp = JobBlueprint("told", __name__)
bp.job("told", "/told", payload=SampleSchema, retries=2, timeout=3600)(obey)


class JobRow(NamedTuple):
    """What a row says; `period_is_over` of one that keeps others out for a time."""

    job_id: str
    key: str
    work: int
    status: str
    is_dead: bool
    has_begun: bool
    generation: int
    legs: int
    until: str
    period_is_over: bool
    is_late: bool
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.is_dead or self.status in {"completed", "cancelled"}

    @property
    def waits(self) -> bool:
        return self.status == "pending" and not self.has_begun

    @property
    def keeps_others_out(self) -> bool:
        if self.period_is_over:
            return False
        if self.until == "pending":
            return self.waits
        return not self.is_over or (self.until == "completed" and self.status == "completed")

    @property
    def lets_one_wait(self) -> bool:
        """Whether it is the one that runs, for whose end one more may wait."""
        return self.until == "once more" and self.has_begun


ROWS = """
    SELECT job_id, payload->'payload'->>'action' AS key,
           (payload->'payload'->>'count')::int AS work, status, dead_at IS NOT NULL AS is_dead,
           started_at IS NOT NULL AS has_begun, generation, legs, unique_while AS until,
           coalesce(unique_until <= now(), false) AS period_is_over,
           coalesce(available_at > created_at + interval '300 s', false) AS is_late, error
      FROM job_executions ORDER BY id
"""


class UniqueMachine(RuleBasedStateMachine):
    """Jobs of two keys.

    Attributes:
        given: The rules by which its callers enqueue.
        work: What each job that was accepted is to do: its last payload.
        deleted: Those that somebody deleted.
        running: The deliveries whose handlers wait for their end.
    """

    def __init__(self, app: Flask, qstash: SimulatedQStash) -> None:
        super().__init__()
        self.app = app
        self.qstash = qstash
        self.calls = 0
        self.work: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.running: list[Run] = []

    @initialize(rules=st.sampled_from(GIVEN), runs=st.booleans())
    def begin(self, rules: list[str], *, runs: bool) -> None:
        self.given = [RULES[name] for name in rules]
        self.enqueue("a", 0, "alone", 0)
        if runs:
            self.deliver(0)

    @rule(
        key=KEYS,
        which=st.integers(0, 1),
        how=st.sampled_from(["alone", "alone", "many", "commit", "rollback"]),
        die_at=DEATHS,
    )
    def enqueue(self, key: str, which: int, how: str, die_at: int) -> None:
        given = self.given[which % len(self.given)]
        expected, ids = what_it_comes_to(given, [row for row in rows() if row.key == key])
        self.calls += 1
        refused: str | None = None
        made: JobId | None = None
        with dying_at(die_at) as death:
            try:
                made = self.call({"action": key, "count": self.calls}, given, how)
            except NotUnique as error:
                refused = error.job_id
        db.session.rollback()
        if death.came or how == "rollback":
            self.learn(expected if death.came else "nothing")
        elif expected == "raise":
            assert refused in ids
        else:
            assert made is not None, f"{refused} was in the way"
            assert made.enqueued_as == expected
            assert (made in ids) == made.existed
            if expected != "existing":
                self.work[made] = self.calls

    @rule(which=WHICH, again=st.booleans(), die_at=DEATHS)
    def begin_to_run(self, which: int, *, again: bool, die_at: int) -> None:
        """Deliver a message that waits, or one of any state: QStash may bring it late, or twice."""
        self.deliver(which, again=again, die_at=die_at)

    @rule(which=WHICH, outcome=OUTCOME, die_at=DEATHS)
    def run(self, which: int, outcome: str, die_at: int) -> None:
        if self.deliver(which, die_at=die_at):
            self.running.pop().end(outcome)

    @precondition(lambda self: self.running)
    @rule(which=WHICH, outcome=OUTCOME)
    def end(self, which: int, outcome: str) -> None:
        self.running.pop(which % len(self.running)).end(outcome)

    @rule(which=WHICH, action=st.sampled_from(["cancel", "retry", "delete"]), die_at=DEATHS)
    def act(self, which: int, action: str, die_at: int) -> None:
        if not (before := rows()):
            return
        job = before[which % len(before)]
        with dying_at(die_at) as death:
            done = getattr(actions, action)(Filter(job_ids=(job.job_id,)), by="test")
        gone = {row.job_id for row in before} - {row.job_id for row in rows()}
        assert gone <= {job.job_id}
        assert not gone or (action == "delete" and job.is_over)
        for job_id in gone:
            self.forget(job_id)
        if action == "retry" and job.status in {"failed", "cancelled"} and not death.came:
            assert (done.count == 1) == can_wait_again(job, before), done.refused

    @rule(event=st.sampled_from(EVENTS), which=WHICH, die_at=DEATHS)
    def happen(self, event: str, which: int, die_at: int) -> None:
        match event:
            case "the period ends":
                execute("UPDATE job_executions SET unique_until = now() WHERE unique_until > now()")
            case "leases run out":
                let_leases_run_out()
            case "sweep":
                with dying_at(die_at):
                    sweep(grace=0)
            case "pause" if not pauses.paused():
                pauses.pause("type", "told", reason="to see", by="test")
            case "resume" if pauses.paused():
                pauses.resume("type", "told", by="test")
            case "qstash is away":
                self.qstash.is_up = not self.qstash.is_up
            case "report" if given_up := self.qstash.given_up:
                report_given_up(self.app, given_up[0])
            case "delete past us" if found := rows():
                self.delete_past_us(found[which % len(found)].job_id)

    @invariant()
    def one_has_a_key_and_one_may_wait_for_its_end(self) -> None:
        keeping = [row for row in rows() if row.keeps_others_out]
        places = Counter((row.key, row.lets_one_wait) for row in keeping)
        assert not places or max(places.values()) == 1, keeping

    @invariant()
    def every_job_is_there_with_its_last_payload(self) -> None:
        found = {row.job_id: row.work for row in rows()}
        left = {job_id: count for job_id, count in self.work.items() if job_id not in self.deleted}
        assert found == left

    @invariant()
    def no_work_is_done_twice_and_none_that_was_replaced(self) -> None:
        done = Counter(execute("SELECT job_id, note FROM effects"))
        assert not done or max(done.values()) == 1, done
        counts = {(row[0], int(row[1].split()[0])) for row in done}
        assert counts <= {*self.work.items()}

    @invariant()
    def none_is_put_off_for_longer_than_it_may_be(self) -> None:
        assert not [row for row in rows() if row.waits and row.is_late]

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.settle()
        finally:
            for run in self.running:
                run.end("completed")
            db.session.rollback()
            self.qstash.forget()
            for table in ("job_executions", "effects", "job_pauses", "job_audit", "deleted_jobs"):
                execute(f"DELETE FROM {table}")  # noqa: S608 - our own

    def settle(self) -> None:
        """Let all that is left be done; then nothing is lost, and everything was done once."""
        called_off = {row.job_id for row in rows() if row.status == "processing" or row.is_over}
        self.qstash.is_up = True
        if pauses.paused():
            pauses.resume("type", "told", by="test")
        while self.running:
            self.running.pop().end("completed")
        for _ in range(PATIENCE):
            let_leases_run_out()
            sweep(grace=0)
            for sent in self.qstash.due:
                self.bring(sent)
                while self.running:
                    self.running.pop().end("completed")
            for sent in self.qstash.given_up:
                report_given_up(self.app, sent)
            if all(row.is_over for row in rows()) and not self.qstash.due:
                break
        self.check_ends(called_off)

    def check_ends(self, called_off: set[str]) -> None:
        self.every_job_is_there_with_its_last_payload()
        self.no_work_is_done_twice_and_none_that_was_replaced()
        done = {tuple(row) for row in execute("SELECT job_id, note FROM effects")}
        for row in rows():
            assert row.is_over, f"lost: {row}"
            is_done = (row.job_id, effect(row.work, row.generation, row.legs + 1)) in done
            assert is_done == (row.status == "completed"), row
            if row.status != "completed" and row.job_id not in called_off:
                assert "process died" in str(row.error) or "QStash gave up" in str(row.error), row

    def call(self, payload: dict[str, Any], given: Unique, how: str) -> JobId:
        """Enqueue."""
        match how:
            case "alone":
                return enqueue("told", payload, unique=given)
            case "many":
                made = enqueue_many("told", [payload], unique=given)
                [job_id], [came_to] = made, made.enqueued_as
                told = JobId(job_id)
                told.enqueued_as = came_to
                return told
        job_id = enqueue("told", payload, unique=given, session=db.session)
        getattr(db.session, how)()
        return job_id

    def learn(self, expected: str) -> None:
        """Find out what was recorded by a call that nobody has an answer of."""
        for row in rows():
            if row.job_id not in self.work:
                assert expected in {"new", "follow-up"}
                assert row.work == self.calls
            elif row.work == self.calls:
                assert expected == "replaced"
            else:
                continue
            self.work[row.job_id] = row.work

    def delete_past_us(self, job_id: str) -> None:
        """Delete a job before its end, as a program of somebody else's may."""
        execute("DELETE FROM job_executions WHERE job_id = :id", id=job_id)
        self.forget(job_id)

    def forget(self, job_id: str) -> None:
        """Have a deleted job not come back by a message of its that QStash still has."""
        self.qstash.lose(job_id)
        self.deleted.add(job_id)

    def deliver(self, which: int, *, again: bool = False, die_at: int = 0) -> bool:
        """Deliver one of the messages; tell whether its handler runs."""
        found = [*self.qstash.sent.values()] if again else self.qstash.due
        if not found or len(self.running) == MOST_RUNNING:
            return False
        before = len(self.running)
        self.bring(found[which % len(found)], die_at)
        return len(self.running) > before

    def bring(self, sent: Sent, die_at: int = 0) -> None:
        """Deliver a message up to where its handler waits for its end."""
        run = Run(self.app, sent, die_at)
        if run.job is None or run.payload is None:
            return
        self.running.append(run)
        assert run.payload.count == self.work[run.job.id], "its payload was replaced"
        found = rows()
        [own] = [row for row in found if row.job_id == run.job.id]
        before = [
            other
            for other in found
            if other.key == own.key and other.job_id != own.job_id and other.has_begun
        ]
        if own.keeps_others_out:
            assert not [other for other in before if other.keeps_others_out and is_one(own, other)]


def is_one(own: JobRow, other: JobRow) -> bool:
    """Whether the two never run at the same time."""
    return own.until == other.until != "pending"


def what_it_comes_to(given: Unique, found: Sequence[JobRow]) -> tuple[str, set[str]]:
    """Return what an enqueue of a key comes to by docs/unique.md, and which jobs it may name."""
    keeping = [row for row in found if row.keeps_others_out]
    if all(row.lets_one_wait for row in keeping):
        return ("follow-up" if keeping and given.once_more else "new"), set()
    waiting = {row.job_id for row in keeping if row.waits}
    ids = waiting or {row.job_id for row in keeping}
    if given.on_conflict == "raise":
        return "raise", ids
    return ("replaced" if given.replaces and waiting else "existing"), ids


def can_wait_again(job: JobRow, found: Sequence[JobRow]) -> bool:
    """Whether a job that a person retries gets its key again, or needs none."""
    others = [row for row in found if row.key == job.key and row.job_id != job.job_id]
    in_the_way = [row for row in others if row.keeps_others_out and not row.lets_one_wait]
    return job.period_is_over or not in_the_way


def rows() -> list[JobRow]:
    return [JobRow(*row) for row in execute(ROWS)]


def let_leases_run_out() -> None:
    execute(
        "UPDATE job_executions SET lease_expires_at = now() - interval '1 s'"
        " WHERE status = 'processing'"
    )


def execute(statement: str, **given: Any) -> list[Any]:
    with db.engine.begin() as connection:
        result = connection.execute(text(statement), given)
        return list(result.all()) if result.returns_rows else []


@pytest.fixture
def machine(app: Flask, mortal: None) -> Iterator[Callable[[], UniqueMachine]]:
    app.register_blueprint(bp)
    with simulated(app) as qstash, watched():
        yield partial(UniqueMachine, app, qstash)


@limited
def test_no_sequence_of_events_makes_two_of_a_unique_job_or_loses_one(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=examples(quick=12, thorough=1000))
