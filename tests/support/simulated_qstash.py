"""QStash as a test plays it: what was published is delivered in any order, late, or twice.

A delivery is a real request, with the body that was published. It runs in a thread of its own,
which stands for a process of the app and may die (`mortal`); its handler waits to be told its end.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Literal

from flask import Flask
from werkzeug.test import TestResponse

from app.db import db
from app.jobs import Continue, Job, PermanentError, PublishUnavailable, RetryLater
from app.jobs.execute.delivery import firing_id
from app.jobs.message import Message
from app.jobs.publish.qstash import deduplication_id
from app.jobs.testing.in_memory import InMemoryPublisher
from tests.support.failure_callback import PATH, encoded, report
from tests.support.mortal import dying_at, pass_a_point
from tests.support.qstash import BASE_URL, claims_for, deliver, token
from tests.support.sample_jobs import Effect, Sample

#: What a handler may be told to do at its end.
OUTCOMES = ("completed", "failed", "permanent", "later", "continue")
NEVER_AGAIN = 489
#: Seconds for a delivery on a busy machine.
PATIENCE = 120.0


@dataclass(eq=False, kw_only=True)
class Sent:
    """A message that QStash has.

    Attributes:
        made_at: When QStash made it, in seconds; None is just before each delivery.
        retried: How often it was delivered in vain.
        under_way: How many deliveries of it have no answer yet.
        answer: The last that QStash got; None where there was none, as the process died.
    """

    id: str
    path: str
    body: str
    retries: int
    schedule_id: str | None = None
    made_at: int | None = None
    retried: int = 0
    under_way: int = 0
    state: Literal["waiting", "delivered", "withdrawn", "given up", "reported"] = "waiting"
    answer: TestResponse | None = None

    def heard(self, answer: TestResponse | None) -> None:
        """Take a delivery's answer; one of a repetition changes nothing any more."""
        if self.state != "waiting":
            return
        self.answer = answer
        if answer is not None and answer.status_code < 300:
            self.state = "delivered"
        elif self.retried >= self.retries or _is_refusal(answer):
            self.state = "given up"
        else:
            self.retried += 1


class SimulatedQStash(InMemoryPublisher):
    """What the app publishes to.

    Attributes:
        is_up: Whether it answers.
        sent: Its messages by their ids, in order.
        installed: Its schedules, as the SDK has them.
    """

    def __init__(self) -> None:
        super().__init__(base_url=BASE_URL)
        self.is_up = True
        self.sent: dict[str, Sent] = {}
        self.installed: list[Any] = []

    def publish(self, message: Message) -> str:
        with self._asked():
            message_id = f"msg_{deduplication_id(message)}"
            made = Sent(
                id=message_id,
                path=message.endpoint,
                body=message.body,
                retries=message.options["retries"],
            )
            self.sent.setdefault(message_id, made)
        return message_id

    def schedule(self, *given: Any, schedule_id: str | None = None, **_: Any) -> str:
        """Install a schedule, which has been there for ever; a test makes its firings."""
        endpoint, cron, body, options = given
        with self._asked():
            made = SimpleNamespace(
                cron=cron,
                body=body,
                destination=self.destination(endpoint),
                retries=options["retries"],
                created_at=0,
                paused=False,
                schedule_id=schedule_id,
            )
            self.installed = [made]
        return str(schedule_id)

    def schedules(self) -> list[Any]:
        return self.installed

    def call(self, question: Callable[[Any], Any]) -> Any:
        with self._asked():
            return question(
                SimpleNamespace(
                    message=SimpleNamespace(cancel_many=self._withdraw, get=self._get),
                    dlq=SimpleNamespace(list=lambda **_: SimpleNamespace(messages=[], cursor=None)),
                    schedule=SimpleNamespace(list=lambda: self.installed),
                )
            )

    @property
    def due(self) -> list[Sent]:
        """The messages that wait to be delivered."""
        return [one for one in self.sent.values() if one.state == "waiting" and not one.under_way]

    @property
    def given_up(self) -> list[Sent]:
        """The messages that are not delivered any more, which the app has not been told yet."""
        return [one for one in self.sent.values() if one.state == "given up"]

    def lose(self, job_id: str) -> None:
        """Have no message of a job, not even one to be delivered twice."""
        self.sent = {
            name: one
            for name, one in self.sent.items()
            if job_id not in {name[len("msg_") :][: len(job_id)], firing_id(name)}
        }

    def forget(self) -> None:
        """Have nothing, for another example."""
        self.is_up, self.sent, self.installed = True, {}, []

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Be a point at which a process may die, before and after; or be away."""
        pass_a_point()
        if not self.is_up:
            raise PublishUnavailable
        yield
        pass_a_point()

    def _withdraw(self, ids: Sequence[str]) -> int:
        found = [self.sent[one] for one in ids if one in self.sent]
        for one in found:
            one.state = "withdrawn" if one.state == "waiting" else one.state
        return len(found)

    def _get(self, message_id: str) -> Any:
        return SimpleNamespace(created_at=(self.sent[message_id].made_at or 0) * 1000)


@dataclass(eq=False)
class Run:
    """A delivery, up to its answer or to where its handler waits for `end`.

    Attributes:
        payload: What the handler was given; None where none runs.
        job: Likewise.
    """

    app: Flask
    sent: Sent
    die_at: int = 0
    payload: Sample | None = None
    job: Job | None = None
    _news: Event = field(default_factory=Event)
    _told: "SimpleQueue[str]" = field(default_factory=SimpleQueue)
    _answers: list[TestResponse | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sent.under_way += 1
        self._thread = Thread(target=self._deliver, daemon=True)
        self._thread.start()
        assert self._news.wait(PATIENCE), "neither a handler nor an answer"
        if self.job is None:
            self._hear()

    def end(self, outcome: str) -> None:
        """Have the handler do one of `OUTCOMES`, and wait for the answer."""
        self._told.put(outcome)
        self._hear()

    def obey(self, payload: Sample, job: Job) -> None:
        """Be the handler."""
        self.payload, self.job = payload, job
        self._news.set()
        outcome = self._told.get(timeout=PATIENCE)
        db.session.add(Effect(job_id=job.id, note=effect(payload.count, job.generation, job.leg)))
        match outcome:
            case "failed":
                raise ValueError("a bad day")
            case "permanent":
                raise PermanentError
            case "later":
                raise RetryLater(60)
            case "continue":
                raise Continue({"leg": job.leg})

    def _deliver(self) -> None:
        _running.set(self)
        try:
            answer = None
            with dying_at(self.die_at) as death:
                answer = post(self.app, self.sent)
            self._answers.append(None if death.came else answer)
        finally:
            self._news.set()

    def _hear(self) -> None:
        self._thread.join(PATIENCE)
        [answer] = self._answers
        self.sent.under_way -= 1
        expected = {200, NEVER_AGAIN, 500, 503}
        assert answer is None or answer.status_code in expected, answer.text
        self.sent.heard(answer)


def effect(count: int, generation: int, leg: int) -> str:
    """Return what a leg's `Effect` says: of which payload, and since which retry by hand."""
    return f"{count} {generation} {leg}"


#: What the present thread delivers.
_running: ContextVar[Run] = ContextVar("running")


def obey(payload: Sample, job: Job) -> None:
    """Do as the test tells this delivery; a handler for any job type of `SampleSchema`."""
    _running.get().obey(payload, job)


def post(app: Flask, sent: Sent) -> TestResponse:
    """Deliver a message as QStash does."""
    raw = sent.body.encode()
    claims = claims_for(raw, BASE_URL + sent.path)
    headers = {"upstash_message_id": sent.id, "upstash_retried": str(sent.retried)}
    if sent.schedule_id is not None:
        headers |= {"upstash_schedule_id": sent.schedule_id, "jobs_retries": str(sent.retries)}
    if sent.made_at is not None:
        claims["iat"] = sent.made_at
    return deliver(app.test_client(), raw, sent.path, signature=token(claims), **headers)


def report_given_up(app: Flask, sent: Sent) -> None:
    """Call the app's failure callback, until it has taken it."""
    answer = sent.answer
    said: dict[str, Any] = {"status": 0, "header": {}, "body": ""}
    if answer is not None:
        headers = {name: [value] for name, value in answer.headers.items()}
        said = {"status": answer.status_code, "header": headers, "body": encoded(answer.data)}
    said |= {"retried": sent.retried, "maxRetries": sent.retries}
    if sent.schedule_id is not None:
        said["scheduleId"] = sent.schedule_id
    body = report(json.loads(sent.body), sent.id, **said)
    if deliver(app.test_client(), body, PATH).status_code == 200:
        sent.state = "reported"


@contextmanager
def simulated(app: Flask) -> Iterator[SimulatedQStash]:
    """Have an app publish to a QStash of this kind."""
    before, qstash = app.extensions["jobs"], SimulatedQStash()
    app.extensions["jobs"] = replace(before, publisher=qstash, background=None)
    try:
        yield qstash
    finally:
        app.extensions["jobs"] = before


def _is_refusal(answer: TestResponse | None) -> bool:
    return answer is not None and answer.status_code == NEVER_AGAIN
