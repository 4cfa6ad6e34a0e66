"""A family of jobs that do what tests need: nothing, an effect in the database, every failure."""

import logging
import time
from dataclasses import dataclass
from threading import Event
from typing import Any

from marshmallow import fields
from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, db
from app.jobs import (
    Continue,
    Job,
    JobBlueprint,
    PayloadSchema,
    PermanentError,
    RetryLater,
    batch,
    batch_of,
    enqueue,
    workflow,
)

bp = JobBlueprint("samples", __name__)

#: When a handler that acts outside may do so, and for which jobs it did.
may_call_out = Event()
called_out: list[str] = []


class Effect(Base):
    """What a handler leaves in the database; deferred, so that a double shows only at commit."""

    __tablename__ = "effects"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    note: Mapped[str]


@dataclass(frozen=True, slots=True)
class Sample:
    action: str
    count: int = 0


class SampleSchema(PayloadSchema[Sample]):
    model = Sample

    action = fields.String(required=True)
    count = fields.Integer(strict=True, load_default=0)


class Hiccup(Exception):
    """A failure that knows when to try again."""

    retry_after = 7.0


@bp.job("sample", "/sample", payload=SampleSchema, retries=3, timeout=2, description="For tests")
def sample(payload: Sample, job: Job) -> dict[str, Any] | None:  # noqa: C901, PLR0912, PLR0915 - a menu
    leg = f" {job.leg}" if job.leg > 1 else ""
    db.session.add(Effect(job_id=job.id, note=f"{payload.action}{leg}"))
    match payload.action:
        case "fail":
            raise ValueError("a \x00 bad \udc00 day")
        case "fail-twice" if job.attempt <= 2:
            raise ConnectionError("not yet")
        case "hiccup":
            raise Hiccup("later, please")
        case "permanent":
            raise PermanentError("this can never work")
        case "later" if job.attempt == 1:
            raise RetryLater(30, "rate limited")
        case "always-later":
            raise RetryLater(1, "never now")
        case "legs" if job.leg < payload.count:
            raise Continue({"done": job.leg, "before": job.state})
        case "stuck":
            raise Continue({"done": 0})
        case "spin":
            while True:
                time.sleep(0.01)
        case "slow-query":
            db.session.execute(text("SELECT pg_sleep(60)"))
        case "broken-commit":
            db.session.execute(text("INSERT INTO effects (id, job_id, note) VALUES (-1, 'x', 'y')"))
            db.session.execute(text("INSERT INTO effects (id, job_id, note) VALUES (-1, 'x', 'y')"))
        case "not-json":
            return {"value": object()}
        case "huge":
            return {"value": "x" * 100_000}
        case "parent" | "bad-parent":
            enqueue("noop", {"action": "none"}, session=db.session)
            if payload.action == "bad-parent":
                raise ValueError("after the child")
        case "parent-effect":
            fast: Any = {"retries": 30, "retry_delay": "1000"}
            enqueue("sample", {"action": "none"}, session=db.session, **fast)
        case "parent-batch" | "parent-workflow" | "fan-out":
            make_many(payload, job)
        case "log":
            logging.getLogger(__name__).warning("at work")
        case "progress":
            for done in range(1, payload.count + 1):
                job.progress(done, payload.count, "counting")
        case "partly" | "growing":
            for done in range(1, payload.count + 1):
                job.progress(done, done if payload.action == "growing" else None)
        case "check":
            while True:
                job.check()
                time.sleep(0.01)
        case "flush":
            while True:
                db.session.add(Effect(job_id=job.id, note="flushed"))
                db.session.flush()
                time.sleep(0.05)
        case "fence":
            may_call_out.wait(10)
            job.fence()
            called_out.append(job.id)
        case "echo":
            return {"attempt": job.attempt, "key": job.idempotency_key, "userId": job.user_id}
    return None


def make_many(payload: Sample, job: Job) -> None:
    """Record a batch, a workflow whose second step adds as many jobs, or these jobs."""
    eager: Any = {"retries": 30, "retry_delay": "1000"}
    one = sample.s(Sample("none"), **eager)
    after: Any = {"then": one, "on_failure": one, "session": db.session}
    if payload.action == "parent-workflow":
        with workflow("of steps", **after) as steps:
            steps.add("before", one)
            steps.add("many", sample.s(Sample("fan-out", payload.count), **eager), after=["before"])
            steps.add("after", one, after=["many"])
        return
    of_many = batch_of(job) if payload.action == "fan-out" else batch("of many", **after)
    with of_many:
        of_many.enqueue_many([one] * payload.count)


@bp.job("noop", "/noop", payload=SampleSchema, description="Does nothing")
def noop(payload: Sample, job: Job) -> None:
    """Touch nothing, so that what is counted is the extension's own."""


@bp.job("beating", "/beating", payload=SampleSchema, timeout=3600, heartbeat=5)
def beating(payload: Sample, job: Job) -> None:
    """Give a sign of life, or none, until somebody cancels it."""
    while True:
        if payload.action != "silent":
            job.check()
        time.sleep(0.01)
