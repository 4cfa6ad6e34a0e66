"""No sequence of deliveries, duplicates, crashes, cancels, retries and sweeps breaks the promises.

Hypothesis makes up the sequences; each step is done to the real app and to `Model`, and after each
the row must be as the model says, while a trigger watches every change of status. A job that is
enqueued is the last one of a batch, whose end must follow from its own.
`HYPOTHESIS_PROFILE=thorough` tries far more of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

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
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.db import db
from app.jobs import (
    Continue,
    Job,
    JobBlueprint,
    JobTimeout,
    PermanentError,
    PublishUnavailable,
    RetryLater,
    batch,
    signature,
)
from app.jobs.execute.executor import record
from app.jobs.message import Message
from app.jobs.operate import actions, pauses
from app.jobs.outcome import Failed, Outcome
from app.jobs.recover.sweep import sweep
from app.jobs.table.attempts import Attempt
from app.jobs.table.batch_models import JobBatch
from app.jobs.table.filters import Filter
from app.jobs.table.models import JobExecution, Status
from app.jobs.testing import rows
from app.jobs.testing.in_memory import InMemoryPublisher
from tests.jobs.state_model import KEPT, MAX_LEGS, MAX_RESCHEDULES, RETRIES, Model
from tests.support.failure_callback import PATH, report
from tests.support.machines import examples, limited
from tests.support.qstash import deliver, envelope
from tests.support.sample_jobs import Effect, SampleSchema
from tests.support.transitions import watched

GOOD = {"action": "scripted"}
FOLLOWING = ("then", "on_failure")

bp = JobBlueprint("scripted", __name__)
#: What running handlers do, the innermost last.
scripts: list[Callable[[Job], None]] = []


@bp.job("scripted", "/scripted", payload=SampleSchema, retries=RETRIES, timeout=3600)
def scripted(_: Any, job: Job) -> None:
    """Have an effect, then do what the test says."""
    db.session.add(Effect(job_id=job.id, note=job.idempotency_key))
    db.session.flush()
    scripts.pop()(job)


class Crash(BaseException):
    """The process dies here."""


class Publisher(InMemoryPublisher):
    """A QStash that may be away."""

    is_up = True

    def publish(self, message: Message) -> str:
        self._answer()
        return super().publish(message)

    def call(self, question: Any) -> Any:
        self._answer()
        return super().call(question)

    def _answer(self) -> None:
        if not self.is_up:
            raise PublishUnavailable


OUTCOMES = ["failed", "later", "continue", "crash", "check", "permanent", "timeout", "completed"]
EVENTS = ["retry", "cancel", "sweep", "give up", "pause", "resume"]
WHEN_EXPIRED = ["deliver", "redeliver", *EVENTS]
#: What happens while a handler runs; whole scenes, of which chance alone makes too few.
SCENES = [
    [],
    ["cancel"],
    ["retry", "sweep", "give up", "deliver"],
    ["pause", "deliver"],
    ["pause", "expire", "deliver", "resume", "deliver"],
    *(["expire", event] for event in WHEN_EXPIRED),
    *(["cancel", "expire", event] for event in WHEN_EXPIRED),
    *(["expire", event, "deliver"] for event in EVENTS),
]
MEANWHILE = st.sampled_from(SCENES)


class Machine(RuleBasedStateMachine):
    """One job, from its first sight on; when it is completed, perhaps another."""

    def __init__(self, app: Flask, publisher: Publisher) -> None:
        super().__init__()
        self.app = app
        self.batch_id: str | None = None
        self.publisher = publisher
        self.messages = ["msg_of_another_time"]
        publisher.is_up = True
        scripts.clear()

    @initialize(how=st.sampled_from(["enqueue", "enqueue without QStash", "arrive", "give up"]))
    def begin(self, how: str) -> None:
        if how.startswith("enqueue"):
            self.publisher.is_up = how == "enqueue"
            then, on_failure = (signature("noop", {"action": name}) for name in FOLLOWING)
            paused = bool(pauses.paused())
            with batch("of one", then=then, on_failure=on_failure) as made:
                self.model = Model(made.enqueue(signature("scripted", GOOD)), paused=paused)
            self.batch_id = made.id
            self.body = rows.job(self.model.job_id).payload
            self.model.publish_unless_held(qstash_is_up=self.publisher.is_up)
            return
        self.batch_id = None
        self.body = envelope(GOOD, job_type="scripted")
        self.model = Model(self.body["jobId"])
        self.model.max_retries = None
        if how == "arrive":
            self.deliver("msg_foreign", outcome="failed")
        else:
            self.happen(how)

    @rule(retried=st.integers(0, 1), outcome=st.sampled_from(OUTCOMES), meanwhile=MEANWHILE)
    def deliver_the_message(self, retried: int, outcome: str, meanwhile: list[str]) -> None:
        message = self.model.current_message
        self.deliver(message, retried=retried, outcome=outcome, meanwhile=meanwhile)

    @rule(back=st.integers(1, 5), outcome=st.sampled_from(OUTCOMES), meanwhile=MEANWHILE)
    def deliver_an_older_message(self, back: int, outcome: str, meanwhile: list[str]) -> None:
        message = self.messages[-min(back, len(self.messages))]
        self.deliver(message, outcome=outcome, meanwhile=meanwhile)

    @rule(outcome=st.sampled_from(OUTCOMES))
    def deliver_an_unknown_message(self, outcome: str) -> None:
        self.deliver(f"msg_unknown_{len(self.messages)}", outcome=outcome)

    @rule()
    def deliver_a_broken_payload(self) -> None:
        answer = self.post("/api/jobs/scripted", {**self.body, "payload": {}})
        assert answer.status_code == self.model.refuse()
        self.model.note_end()

    @rule(event=st.sampled_from(EVENTS))
    def happen_at_rest(self, event: str) -> None:
        self.happen(event)

    @precondition(lambda self: self.model.status == "processing")
    @rule(then=st.sampled_from(WHEN_EXPIRED))
    def expire(self, then: str) -> None:
        self.happen("expire")
        self.happen(then)

    @rule()
    def turn_qstash_off_or_on(self) -> None:
        self.publisher.is_up = not self.publisher.is_up

    @precondition(lambda self: self.model.status == "completed")
    @rule()
    def begin_another(self) -> None:
        self.begin("enqueue")

    @invariant()
    def the_row_is_as_the_model_says(self) -> None:
        row, model = rows.job(self.model.job_id), self.model
        assert state_of(row) == model.state
        assert [one["outcome"] for one in row.attempts] == model.outcomes[-KEPT:]
        numbers = [one["number"] for one in row.attempts]
        assert numbers == list(range(1, len(model.outcomes) + 1))[-KEPT:]

    @invariant()
    def there_is_one_effect_of_each_leg_and_of_the_end_and_no_other(self) -> None:
        query = select(func.count()).where(Effect.job_id == self.model.job_id)
        with db.engine.connect() as connection:
            assert connection.scalar(query) == self.model.effects

    @invariant()
    def its_batch_has_ended_if_it_has_and_is_followed_once(self) -> None:
        if self.batch_id is None:
            return
        states = select(JobBatch.state).where(JobBatch.id == self.batch_id)
        following = select(JobExecution.payload["payload"]["action"].astext).where(
            JobExecution.batch_id == self.batch_id, JobExecution.slot.is_(None)
        )
        with db.engine.connect() as connection:
            assert connection.scalar(states) == self.model.batch_state
            assert sorted(connection.scalars(following)) == sorted(self.model.followed)

    def teardown(self) -> None:
        execute("DELETE FROM job_executions; DELETE FROM effects; DELETE FROM job_batches")
        execute("DELETE FROM job_pauses; DELETE FROM job_audit")

    def happen(self, event: str) -> None:
        """Do something to the app and to the model."""
        model, is_up = self.model, self.publisher.is_up
        match event:
            case "cancel":
                actions.cancel(Filter(job_ids=(model.job_id,)), by="test")
                model.cancel()
            case "retry":
                actions.retry(Filter(job_ids=(model.job_id,)), by="test")
                model.retry(qstash_is_up=is_up)
            case "sweep":
                sweep(grace=0)
                model.sweep(qstash_is_up=is_up)
            case "pause" | "resume":
                self.pause_or_resume(event)
            case "expire":
                execute("UPDATE job_executions SET lease_expires_at = now() - interval '1 s'")
                model.expire()
            case "give up":
                message = model.current_message
                answer = self.post(PATH, report(self.body, message))
                assert answer.status_code == model.give_up(message)
            case "deliver":
                self.deliver(model.current_message)
            case "redeliver":
                self.deliver(f"msg_unknown_{len(self.messages)}", outcome="failed")
        model.note_end()

    def pause_or_resume(self, event: str) -> None:
        if event == "pause":
            pauses.pause("type", "scripted", reason="to see", by="test")
            self.model.pause()
        elif self.model.paused:
            pauses.resume("type", "scripted", by="test")
            self.model.resume(qstash_is_up=self.publisher.is_up)

    def deliver(
        self,
        message: str,
        *,
        retried: int = 0,
        outcome: str = "completed",
        meanwhile: Sequence[str] = (),
    ) -> None:
        self.messages.append(message)
        lease = self.model.claim(message, retried)
        expected = 0
        if lease is None:
            is_up = self.publisher.is_up
            expected = self.model.refusal(message, retried, qstash_is_up=is_up)

        def run(job: Job) -> None:
            nonlocal expected
            assert lease is not None, "it must not be executed"
            for event in meanwhile:
                self.happen(event)
            if outcome != "crash":
                is_up = self.publisher.is_up
                expected = self.model.finish(lease, message, outcome, qstash_is_up=is_up)
                self.model.note_end()
            end(job, outcome)

        headers = {"upstash_message_id": message, "upstash_retried": str(retried)}
        with scripted_by(run), mortal_process():
            try:
                answer = self.post("/api/jobs/scripted", self.body, **headers)
            except Crash:
                return
        assert answer.status_code == expected, answer.text

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        """Post apart from the handler that may be running in this thread."""
        return Context().run(partial(deliver, self.app.test_client(), body, path, **headers))


@contextmanager
def mortal_process() -> Iterator[None]:
    """Let a handler's `Crash` end the delivery before anything is recorded, as a death would."""

    def unless_dead(attempt: Attempt, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Failed) and outcome.kind == Crash.__name__:
            raise Crash
        return record(attempt, outcome)

    with patch("app.jobs.execute.executor.record", unless_dead):
        yield


@contextmanager
def scripted_by(run: Callable[[Job], None]) -> Iterator[None]:
    """Have the next handler do this; what it finds wrong is raised here, not taken for failure."""
    found: list[AssertionError] = []

    def checked(job: Job) -> None:
        try:
            run(job)
        except AssertionError as error:
            found.append(error)
            raise

    scripts.append(checked)
    yield
    if checked in scripts:
        scripts.remove(checked)
    for error in found:
        raise error


def end(job: Job, outcome: str) -> None:
    """End a handler."""
    match outcome:
        case "failed":
            raise ValueError("a bad day")
        case "permanent":
            raise PermanentError
        case "later":
            raise RetryLater(60)
        case "continue":
            raise Continue({"leg": job.leg})
        case "timeout":
            raise JobTimeout
        case "crash":
            raise Crash
        case "check":
            job.check()


def state_of(row: JobExecution) -> dict[str, Any]:
    return {
        "status": row.status,
        "dead": row.dead_at is not None,
        "completed_at": row.completed_at is not None,
        "cancelled_at": row.cancelled_at is not None,
        "retried": row.retry_count,
        "max_retries": row.max_retries,
        "generation": row.generation,
        "legs": row.legs,
        "reschedules": row.reschedules,
        "message": row.message_id,
        "published": row.published_at is not None,
        "leased": row.lease_token is not None,
        "held": row.status == Status.PENDING and not row.published_at and row.pause is not None,
    }


def execute(statement: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture
def machine(app: Flask) -> Iterator[Callable[[], Machine]]:
    app.register_blueprint(bp)
    app.config.update(JOBS_MAX_RESCHEDULES=MAX_RESCHEDULES, JOBS_MAX_LEGS=MAX_LEGS)
    publisher = Publisher(base_url=app.config["BASE_URL"])
    app.extensions["jobs"] = replace(app.extensions["jobs"], publisher=publisher)
    with watched():
        yield partial(Machine, app, publisher)


@limited
def test_no_sequence_of_events_leaves_the_table_of_transitions(
    machine: Any,
) -> None:
    run_state_machine_as_test(machine, settings=examples(quick=30, thorough=1500))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whatever_happens_while_a_handler_runs_it_ends_rightly(
    machine: Callable[[], Machine], outcome: str
) -> None:
    for scene in SCENES:
        job = machine()
        job.begin("enqueue")
        job.deliver(job.model.current_message, outcome=outcome, meanwhile=scene)
        job.the_row_is_as_the_model_says()
        job.there_is_one_effect_of_each_leg_and_of_the_end_and_no_other()
        job.teardown()


@pytest.mark.parametrize(
    ("begin", "outcome", "meanwhile", "then"),
    [
        ("give up", None, [], []),
        ("enqueue", "later", ["cancel"], []),
        ("enqueue", "crash", ["cancel"], ["expire", "give up"]),
    ],
    ids=["never seen and given up", "cancelled and put off", "cancelled, crashed and given up"],
)
def test_what_once_went_wrong(
    machine: Callable[[], Machine], begin: str, outcome: str | None, meanwhile: Any, then: Any
) -> None:
    job = machine()
    job.begin(begin)
    if outcome:
        job.deliver(job.model.current_message, outcome=outcome, meanwhile=meanwhile)
    for event in then:
        job.happen(event)

    job.the_row_is_as_the_model_says()
