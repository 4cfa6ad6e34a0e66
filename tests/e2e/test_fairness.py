"""One organization's many jobs do not hold up another's one: over QStash, in several processes."""

import signal

from flask import Flask
from sqlalchemy import func, select

from app.db import db
from app.jobs import JobExecution, enqueue, enqueue_many
from tests.e2e import limited
from tests.e2e.stack import Stack

MANY, TAKES = 40, {"action": "wait", "count": 150}


def test_a_job_does_not_wait_for_another_organization_s(stack: Stack, producer: Flask) -> None:
    producer.register_blueprint(limited.bp)
    stack.kill("web", signal.SIGTERM)
    stack.settings["WEB_CONCURRENCY"] = "3"
    stack.start_web("tests.e2e.limited:app")

    many = enqueue_many("limited", [TAKES] * MANY, organization_id=1)
    one = stack.final(enqueue("limited", TAKES, organization_id=2))

    begun = select(func.count()).where(
        JobExecution.job_id.in_(many), JobExecution.started_at < one.started_at
    )
    with db.engine.connect() as connection:
        assert (connection.scalar(begun) or 0) < MANY / 4
    assert one.result == {"organization": 2}
