"""This project: jobs are enqueued in an app's context, and executed by gunicorn.

It uses only what builds have had for long, so that old ones can be measured, too.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import flask_migrate
import handler
from flask import Flask
from marshmallow import fields
from producer import Job as Sent
from sqlalchemy import text

from app import create_app
from app.db import db
from app.jobs import Job, JobBlueprint, PayloadSchema, enqueue, enqueue_many
from app.jobs.publish import outbox

#: The name of a queue that delivers nothing.
PARKED = "parked"

bp = JobBlueprint("bench", __name__)


@dataclass(frozen=True, slots=True)
class Bench:
    sent: int
    wait: float
    pad: str


class BenchSchema(PayloadSchema[Bench]):
    model = Bench

    sent = fields.Integer(required=True, strict=True)
    wait = fields.Float(required=True)
    pad = fields.String(required=True)


@bp.job("bench", "/bench", payload=BenchSchema, description="What the peers' jobs do")
def bench(payload: Bench, job: Job) -> dict[str, bool]:  # noqa: ARG001 - as every handler
    return handler.run(payload.sent, payload.wait)


def served() -> Flask:
    app = create_app({"LOG_LEVEL": "WARNING"})
    app.register_blueprint(bp)
    return app


def setup() -> None:
    flask_migrate.upgrade("migrations")


def context() -> AbstractContextManager[object]:
    if "BENCH_UNHURRIED" in os.environ:
        outbox.NOTE_AFTER = 3600
    return served().app_context()


def send(job: Sent, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    enqueue("bench", job._asdict(), **_options(parked))


def send_many(jobs: list[Sent], parked: bool) -> None:  # noqa: FBT001 - likewise
    enqueue_many("bench", [job._asdict() for job in jobs], **_options(parked))


def _options(parked: bool) -> dict[str, Any]:  # noqa: FBT001 - likewise
    if not parked:
        return {}
    _pause()
    return {"queue": PARKED}


@cache
def _pause() -> None:
    publisher = outbox.publisher()
    publisher.call(lambda qstash: qstash.queue.upsert(publisher.own(PARKED), parallelism=1))
    publisher.call(lambda qstash: qstash.queue.pause(publisher.own(PARKED)))


def settle() -> None:
    """Note which jobs were published; older builds have done so by now."""
    if hasattr(outbox, "notes"):
        outbox.notes().flush()


def recorded() -> int:
    done = "SELECT count(*) FROM job_executions WHERE status = 'completed'"
    count: int = db.session.execute(text(done)).scalar_one()
    db.session.remove()
    return count
