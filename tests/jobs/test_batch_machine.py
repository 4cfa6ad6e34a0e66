"""No sequence of events ends a batch or a workflow otherwise than its jobs' ends say, or twice.

Hypothesis makes up batches, workflows and what becomes of their jobs: they end in every way, add
others, answer late or twice, are cancelled, retried, deleted, paused or come too late; signals come
or do not, and the whole is called off or retried. What each job came to is read from its row (see
`test_state_machine`); what must become of the batch then, and which steps and jobs are to begin, is
`BatchModel`'s to say. `HYPOTHESIS_PROFILE=thorough` tries far more.
"""

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.db import db
from app.jobs import (
    BatchRefused,
    Continue,
    Job,
    JobBlueprint,
    PermanentError,
    RetryLater,
    batch,
    batch_of,
    signal,
    workflow,
    workflow_of,
)
from app.jobs.operate import actions, batches, pauses
from app.jobs.recover.sweep import sweep
from app.jobs.table.filters import Filter
from app.jobs.testing import deliver
from tests.jobs.batch_model import GO_ON, REPLACE, BatchModel, StepModel
from tests.support.machines import examples, limited
from tests.support.sample_jobs import Sample, SampleSchema, noop

EVENT = "go"

bp = JobBlueprint("told", __name__)
#: What the next handler does.
scripts: list[Callable[[Job], None]] = []


@bp.job("told", "/told", payload=SampleSchema, retries=1, timeout=3600)
def told(_: Sample, job: Job) -> None:
    """Do what the test says."""
    scripts.pop()(job)


ONE = told.s(Sample("none"))
OUTCOMES = [*["completed"] * 4, "permanent", "failed", "later", "continue", "fan out", "grow"]
OUTCOMES += ["adds and dies"]
MEANWHILE = ["nothing", "nothing", "late", "again", "cancel", "call off", "signal", "pause"]
ENDS = """
    SELECT job.job_id, part.step,
           CASE job.status WHEN 'completed' THEN 'completed' WHEN 'cancelled' THEN 'cancelled'
                WHEN 'failed' THEN CASE WHEN job.dead_at IS NOT NULL THEN 'dead' END END
      FROM job_executions AS job
      JOIN job_batch_slots AS part ON part.batch_id = job.batch_id AND part.slot = job.slot
"""
GRAPHS: list[dict[str, StepModel]] = [
    {},
    {"a": StepModel(), "b": StepModel(("a",)), "c": StepModel(("b",), GO_ON)},
    {
        "a": StepModel(),
        "b": StepModel(("a",), REPLACE),
        "c": StepModel(("b",)),
        "d": StepModel(("a", "c"), GO_ON),
    },
    {
        "a": StepModel(),
        EVENT: StepModel(("a",), is_wait=True),
        "b": StepModel((EVENT,)),
        "c": StepModel((EVENT, "a"), REPLACE),
    },
    {EVENT: StepModel(is_wait=True), "a": StepModel(), "b": StepModel((EVENT, "a"), GO_ON)},
]


class BatchMachine(RuleBasedStateMachine):
    """One batch or workflow."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app = app
        self.grown = 0
        scripts.clear()

    @initialize(graph=st.sampled_from(GRAPHS), jobs=st.integers(0, 3))
    def begin(self, graph: dict[str, StepModel], jobs: int) -> None:
        then, on_failure = (noop.s(Sample(name)) for name in ("then", "on_failure"))
        # A copy of each, as the model changes them.
        steps = {
            name: StepModel(step.after, step.if_dead, step.is_wait) for name, step in graph.items()
        }
        self.model = BatchModel(steps)
        if not graph:
            with batch("some", then=then, on_failure=on_failure) as made:
                made.enqueue_many([ONE] * jobs)
        else:
            with workflow("steps", then=then, on_failure=on_failure) as flow:
                for name, step in steps.items():
                    add(flow, name, step)
        self.id = flow.id if graph else made.id
        self.look()

    @rule(
        which=st.integers(0, 9), outcome=st.sampled_from(OUTCOMES), scene=st.sampled_from(MEANWHILE)
    )
    def deliver(self, which: int, outcome: str, scene: str) -> None:
        if (job_id := self.pick(which)) is None:
            return
        grown = f"grown {self.grown}"

        def script(job: Job) -> None:
            self.meanwhile(scene, job_id)
            self.end(job, outcome, grown)

        scripts.append(script)
        deliver(job_id)
        scripts.clear()
        self.grown += 1
        self.note_growth(grown)
        self.look()

    @rule(which=st.integers(0, 9), action=st.sampled_from(["cancel", "retry", "delete"]))
    def act(self, which: int, action: str) -> None:
        if (job_id := self.pick(which)) is not None:
            getattr(actions, action)(Filter(job_ids=(job_id,)), by="test")
            self.look()

    @rule(which=st.integers(0, 9))
    def delete_before_its_end(self, which: int) -> None:
        """As a program of somebody else's may."""
        if (job_id := self.pick(which)) is not None:
            execute("DELETE FROM job_executions WHERE job_id = :id", id=job_id)
            self.look()

    @rule(which=st.integers(0, 9))
    def come_too_late(self, which: int) -> None:
        if (job_id := self.pick(which)) is None:
            return
        expires = """'{"expires": "2020-01-01T00:00:00+00:00"}'"""
        execute(
            f"UPDATE job_executions SET options = options || {expires}"  # noqa: S608 - our own
            " WHERE job_id = :id AND status = 'pending' AND legs = 0",
            id=job_id,
        )
        self.deliver(which, "completed", "nothing")

    @rule()
    def call_off(self) -> None:
        self.meanwhile("call off", "")
        self.look()

    @rule()
    def retry(self) -> None:
        batches.retry(self.id, by="test")
        self.model.wait_again("dead", "cancelled")
        self.look()

    @rule()
    def tell(self) -> None:
        self.meanwhile("signal", "")
        self.look()

    @rule()
    def time_out(self) -> None:
        execute("UPDATE job_steps SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")
        self.model.time_out()
        sweep(grace=0)
        self.look()

    @rule(event=st.sampled_from(["pause", "resume"]))
    def pause_or_resume(self, event: str) -> None:
        self.meanwhile(event, "")
        self.look()

    @invariant()
    def it_is_as_its_jobs_ends_say(self) -> None:
        found, model = batches.find(self.id), self.model
        assert found.state == model.state
        counted = (found.pending, found.completed, found.dead, found.cancelled)
        ends = (None, "completed", "dead", "cancelled")
        assert counted == tuple(model.count(end) for end in ends)
        assert (found.ended_at is None) == (found.state == "running")

    @invariant()
    def those_steps_have_begun_that_may_and_each_once(self) -> None:
        steps = [one for one in batches.steps(self.id) if not one.is_following]
        begun = {one.name for one in steps if one.started_at is not None}
        assert begun == {name for name, step in self.model.steps.items() if step.started}
        for one in steps:
            if (outcome := self.model.outcome(one.name)) is not None:
                said = "timed out" if one.kind == "wait" and outcome == "dead" else outcome
                assert one.state == said
            if not self.model.called_off and self.model.state != "running" and not one.started_at:
                assert one.state == "skipped"

    @invariant()
    def each_end_is_followed_once(self) -> None:
        rows = execute(
            "SELECT payload->'payload'->>'action' FROM job_executions"
            " WHERE batch_id = :id AND slot IS NULL",
            id=self.id,
        )
        assert sorted(row[0] for row in rows) == sorted(self.model.followed)

    def teardown(self) -> None:
        for table in ("job_executions", "job_batches", "job_pauses", "job_audit", "deleted_jobs"):
            execute(f"DELETE FROM {table}")  # noqa: S608 - our own

    def pick(self, which: int) -> str | None:
        """Return one of the jobs that are there; None where there is none."""
        jobs = [
            row[0]
            for row in execute(f"{ENDS} WHERE job.batch_id = :id ORDER BY job.id", id=self.id)
        ]
        return jobs[which % len(jobs)] if jobs else None

    def look(self) -> None:
        """Tell the model how the jobs have ended."""
        rows = execute(f"{ENDS} WHERE job.batch_id = :id", id=self.id)
        self.model.note({job_id: (step, end) for job_id, step, end in rows})

    def meanwhile(self, event: str, job_id: str) -> None:
        """Do something, apart from the handler that may be running in this thread."""
        match event:
            case "late":
                execute("UPDATE job_executions SET lease_expires_at = now() - interval '1 s'")
                self.apart(partial(sweep, grace=0))
            case "again":
                assert self.apart(partial(deliver, job_id)).status_code in {200, 503}
            case "cancel":
                self.apart(partial(actions.cancel, Filter(job_ids=(job_id,)), by="test"))
            case "call off":
                self._call_off()
            case "signal":
                self._signal()
            case "pause":
                self.apart(partial(pauses.pause, "type", "told", reason="to see", by="test"))
            case "resume":
                if pauses.paused():
                    pauses.resume("type", "told", by="test")
        if event != "nothing":
            self.look()

    def apart(self, call: Callable[[], Any]) -> Any:
        def within() -> Any:
            with self.app.app_context():
                return call()

        return Context().run(within)

    def _call_off(self) -> None:
        try:
            self.apart(partial(batches.cancel, self.id, by="test"))
        except BatchRefused:
            assert self.model.state != "running"
        else:
            assert self.model.state == "running"
            self.model.call_off()

    def _signal(self) -> None:
        try:
            self.apart(partial(signal, EVENT))
        except BatchRefused:
            return
        early = "SELECT name FROM job_steps WHERE signalled_at IS NOT NULL AND started_at IS NULL"
        self.model.hear(row[0] for row in execute(early))

    def end(self, job: Job, outcome: str, grown: str) -> None:
        """End a handler."""
        if outcome in {"fan out", "adds and dies"}:
            with batch_of(job) as mine:
                mine.enqueue_many([ONE] * 2)
        match outcome:
            case "permanent" | "adds and dies":
                raise PermanentError
            case "failed":
                raise ValueError("a bad day")
            case "later":
                raise RetryLater(60)
            case "continue" if job.leg == 1:
                raise Continue({})
            case "grow" if self.model.steps:
                with workflow_of(job) as more:
                    more.add(grown, ONE, after=["a"])

    def note_growth(self, grown: str) -> None:
        """Have the model know a step that was added, if its job's work was committed."""
        if execute(
            "SELECT FROM job_steps WHERE batch_id = :id AND name = :name", id=self.id, name=grown
        ):
            self.model.steps[grown] = StepModel(("a",))


def add(made: Any, name: str, step: StepModel) -> None:
    if step.is_wait:
        made.wait_for(name, timeout="1d", after=step.after)
        return
    instead = ONE if step.if_dead == REPLACE else step.if_dead
    made.add(name, ONE, after=step.after, if_dead=instead)


def execute(statement: str, **given: Any) -> list[Any]:
    with db.engine.begin() as connection:
        result = connection.execute(text(statement), given)
        return list(result.all()) if result.returns_rows else []


@pytest.mark.usefixtures("published")
@limited
def test_no_sequence_of_events_ends_a_batch_wrongly_or_twice(app: Flask) -> None:
    app.register_blueprint(bp)

    machine: Any = partial(BatchMachine, app)
    run_state_machine_as_test(machine, settings=examples(quick=12, thorough=400, steps=15))
