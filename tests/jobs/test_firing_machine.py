"""No sequence of events runs two of a schedule at once, or loses or doubles one of its firings.

Hypothesis makes up schedules with rules and what becomes of their firings: they come in any order,
late, twice or not at all, their handlers end in every way, processes die at a commit or at QStash,
people cancel, retry, delete and pause, sweeps come. What becomes of each is said here as
docs/schedules.md has it. `HYPOTHESIS_PROFILE=thorough` tries far more.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
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
from sqlalchemy import Connection, text

from app.db import db
from app.jobs import JobBlueprint, schedule
from app.jobs.execute.delivery import firing_id
from app.jobs.operate import actions, pauses
from app.jobs.recover.sweep import sweep
from app.jobs.table import missed
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

NAME, HOUR = "hourly", timedelta(hours=1)
#: Firings that may wait for their turn, as docs/schedules.md says.
MOST_WAITING = 10
RULES: list[dict[str, Any]] = [
    {"overlap": "skip"},
    {"overlap": "queue"},
    {"overlap": "queue", "catch_up": "all"},
    {"overlap": "queue", "catch_up": "last"},
    {"overlap": "skip", "catch_up": "last"},
    {"catch_up": "all"},
]
WHICH = st.integers(0, 20)
OUTCOME = st.sampled_from(["completed", *OUTCOMES])
EVENTS = ["leases run out", "sweep", "sweep", "report", "resume", "pause", "qstash is away"]
#: At which point a process dies, if it does.
DEATHS = st.one_of(st.just(0), st.just(0), st.integers(1, 24))
#: How often it fires in one example, and perhaps half a day more.
MOST_MOMENTS = 40
#: How many handlers run beside each other, of schedules and tries that may.
MOST_RUNNING = 3
#: How often what is left must be delivered and swept until all is over.
PATIENCE = 120

bp = JobBlueprint("fired", __name__)
bp.job("fired", "/fired", payload=SampleSchema, retries=2, timeout=3600)(obey)


class JobRow(NamedTuple):
    """What a row says of a firing's job."""

    job_id: str
    due: datetime | None
    status: str
    is_dead: bool
    is_in_line: bool
    generation: int
    legs: int
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.is_dead or self.status in {"completed", "cancelled"}


ROWS = f"""
    SELECT job_id, scheduled_for AS due, status, dead_at IS NOT NULL AS is_dead,
           status = 'pending' AND published_at IS NULL
             AND coalesce(pause = 'schedule:{NAME}', false) AS is_in_line,
           generation, legs, error
      FROM job_executions ORDER BY id
"""  # noqa: S608 - our own
FIRINGS = "SELECT scheduled_for, outcome, job_id FROM job_firings"


class FiringMachine(RuleBasedStateMachine):
    """A schedule that fires every hour of a clock of its own, which began some days ago.

    Attributes:
        clock: What time it is.
        moments: Those that were due so far.
        known: What has become of those of which that is known.
        ended: Jobs that a person has cancelled or deleted.
    """

    def __init__(self, app: Flask, qstash: SimulatedQStash, clocks: list[datetime]) -> None:
        super().__init__()
        self.app = app
        self.qstash = qstash
        self.clocks = clocks
        self.moments: list[datetime] = []
        self.known: dict[datetime, tuple[str, str | None]] = {}
        self.ended: set[str] = set()
        self.running: list[Run] = []

    @initialize(rules=st.sampled_from(RULES))
    def begin(self, rules: dict[str, Any]) -> None:
        self.overlap = rules.get("overlap", "allow")
        self.catch_up = rules.get("catch_up", "none")
        self.clock = (
            datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * MOST_MOMENTS * HOUR
        )
        schedule("fired", "0 * * * *", {"action": "none"}, schedule_id=NAME, **rules)
        execute("UPDATE job_schedules SET accounted_until = :at", at=self.clock)
        self.pass_hours(2)

    @property
    def clock(self) -> datetime:
        return self.clocks[-1]

    @clock.setter
    def clock(self, now: datetime) -> None:
        self.clocks[:] = [now]

    @precondition(lambda self: len(self.moments) < MOST_MOMENTS)
    @rule(hours=st.sampled_from([1, 1, 1, 2, 3, MOST_WAITING + 3]), lost=st.booleans())
    def fire(self, hours: int, *, lost: bool) -> None:
        self.pass_hours(hours, lost=lost)

    @rule(which=WHICH, again=st.booleans(), die_at=DEATHS)
    def begin_to_run(self, which: int, *, again: bool, die_at: int) -> None:
        """Deliver a message that waits, or one of any state: QStash may bring it late, or twice."""
        self.deliver(which, again=again, die_at=die_at)

    @rule(times=st.integers(1, MOST_WAITING + 3))
    def deliver_some(self, times: int) -> None:
        for _ in range(times):
            self.deliver(0)

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
        job_id = before[which % len(before)].job_id
        with dying_at(die_at):
            getattr(actions, action)(Filter(job_ids=(job_id,)), by="test")
        if action == "cancel":
            self.ended.add(job_id)
        if job_id not in {row.job_id for row in rows()}:
            self.ended.add(job_id)
            self.qstash.lose(job_id)  # which would bring it again

    @rule(event=st.sampled_from(EVENTS), die_at=DEATHS)
    def happen(self, event: str, die_at: int) -> None:
        match event:
            case "leases run out":
                let_leases_run_out()
            case "sweep":
                with dying_at(die_at):
                    sweep(grace=0)
            case "pause" if not pauses.paused():
                pauses.pause("type", "fired", reason="to see", by="test")
            case "resume" if pauses.paused():
                pauses.resume("type", "fired", by="test")
            case "qstash is away":
                self.qstash.is_up = not self.qstash.is_up
            case "report" if given_up := self.qstash.given_up:
                report_given_up(self.app, given_up[0])

    @invariant()
    def one_runs_and_ten_wait(self) -> None:
        found = [row for row in rows() if not row.is_over]
        if self.overlap != "allow":
            # What a person retries does not wait.
            at_work = [row for row in found if not (row.is_in_line or row.generation)]
            assert len(at_work) <= 1, at_work
        assert len(self.line(found)) <= MOST_WAITING

    @invariant()
    def each_moment_has_one_outcome_and_keeps_it(self) -> None:
        now = {row[0]: (row[1], row[2]) for row in execute(FIRINGS)}
        assert {moment: now.get(moment) for moment in self.known} == self.known
        assert now.keys() <= {*self.moments}
        self.known = now
        jobs = Counter(row.due for row in rows() if row.due is not None)
        assert not jobs or max(jobs.values()) == 1
        for row in rows():
            if row.due is not None:
                assert now[row.due][1] == row.job_id
                assert now[row.due][0] in {"fired", "caught up"}

    @invariant()
    def no_work_is_done_twice(self) -> None:
        done = Counter(execute("SELECT job_id, note FROM effects"))
        assert not done or max(done.values()) == 1, done

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.settle()
        finally:
            for run in self.running:
                run.end("completed")
            self.qstash.forget()
            tables = ["job_executions", "effects", "job_pauses", "job_audit", "deleted_jobs"]
            for table in [*tables, "job_schedules", "job_firings", "job_marks", "spent_tokens"]:
                execute(f"DELETE FROM {table}")  # noqa: S608 - our own

    def settle(self) -> None:
        """Let all that is left be done; then nothing is lost, and everything was done once."""
        self.qstash.is_up = True
        if pauses.paused():
            pauses.resume("type", "fired", by="test")
        self.end_all()
        for _ in range(PATIENCE):
            let_leases_run_out()
            sweep(grace=0)
            for sent in self.qstash.due:
                self.bring(sent)
                self.end_all()
            for sent in self.qstash.given_up:
                report_given_up(self.app, sent)
            if all(row.is_over for row in rows()) and not self.qstash.due:
                break
        self.check_ends()

    def check_ends(self) -> None:
        self.each_moment_has_one_outcome_and_keeps_it()
        self.no_work_is_done_twice()
        done = {tuple(row) for row in execute("SELECT job_id, note FROM effects")}
        found = {row.job_id: row for row in rows()}
        for row in found.values():
            assert row.is_over, f"lost: {row}"
            is_done = (row.job_id, effect(0, row.generation, row.legs + 1)) in done
            assert is_done == (row.status == "completed"), row
        recorded = {job_id for outcome, job_id in self.known.values() if outcome != "missed"}
        assert {one for one in recorded if one is not None} <= found.keys() | self.ended | {
            job_id for outcome, job_id in self.known.values() if outcome == "skipped"
        }
        if self.catch_up != "none":
            assert self.known.keys() == {*self.moments}, "a moment that nothing has become of"
        if self.catch_up == "all":
            assert "missed" not in {outcome for outcome, _ in self.known.values()}

    def end_all(self) -> None:
        while self.running:
            self.running.pop().end("completed")

    def pass_hours(self, hours: int, *, lost: bool = False) -> None:
        """Have the schedule fire at each, but perhaps not QStash, which may be down."""
        [made] = self.qstash.installed
        for _ in range(hours):
            self.clock += HOUR
            self.moments.append(self.clock)
            name = f"msg_of_{self.clock:%d_%H}"
            if not lost:
                self.qstash.sent[name] = Sent(
                    id=name,
                    path="/api/jobs/fired",
                    body=made.body,
                    retries=made.retries,
                    schedule_id=NAME,
                    made_at=int(self.clock.timestamp()) + 1,
                )

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
        before, known = rows(), {row[0]: row[1] for row in execute(FIRINGS)}
        run = Run(self.app, sent, die_at)
        if run.job is not None:
            self.running.append(run)
        if sent.schedule_id is None or sent.made_at is None or die_at or pauses.paused():
            return
        moment = datetime.fromtimestamp(sent.made_at - 1, UTC)
        is_told = self.qstash.is_up or not sent.retried
        job_id = firing_id(sent.id)
        if moment not in known and is_told and job_id not in {row.job_id for row in before}:
            self.check_arrival(moment, job_id, before, run)

    def check_arrival(self, moment: datetime, job_id: str, before: list[JobRow], run: Run) -> None:
        """Check what became of a firing that has come for the first time."""
        [outcome] = [row[1] for row in execute(FIRINGS) if row[0] == moment]
        waiting = [row for row in before if not row.is_over]
        row = next((row for row in rows() if row.job_id == job_id), None)
        if not waiting or self.overlap == "allow":
            assert run.job is not None, "nothing is in its way"
        elif self.overlap == "skip" or len(self.line(waiting)) == MOST_WAITING:
            assert (outcome, row) == ("skipped", None)
        else:
            assert row is not None, "there is room in the line"
            assert row.is_in_line
            assert outcome == "fired"

    def line(self, found: list[JobRow]) -> list[JobRow]:
        """Return those that wait for their turn, but for those that make up for others."""
        return [
            row
            for row in found
            if row.is_in_line and self.known.get(row.due or self.clock, ("", ""))[0] != "caught up"
        ]


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
def clocks(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Have the sweep see the machine's clock, as PostgreSQL's cannot be set."""
    seen: list[datetime] = []
    ask = missed.to_catch_up

    def asked(connection: Connection) -> list[Any]:
        found = [{**row._mapping, "now": seen[-1] + HOUR / 2} for row in ask(connection)]
        return [SimpleNamespace(**row) for row in found]

    monkeypatch.setattr(missed, "to_catch_up", asked)
    return seen


@pytest.fixture
def machine(
    app: Flask, clocks: list[datetime], mortal: None
) -> Iterator[Callable[[], FiringMachine]]:
    app.register_blueprint(bp)
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    with simulated(app) as qstash, watched():
        yield partial(FiringMachine, app, qstash, clocks)


@limited
def test_no_sequence_of_events_runs_two_of_a_schedule_or_loses_a_firing(machine: Any) -> None:
    run_state_machine_as_test(machine, settings=examples(quick=12, thorough=1000))
