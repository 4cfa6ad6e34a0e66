"""An incident: a job type is paused while many of its jobs are at QStash."""

import signal

from flask import Flask
from sqlalchemy import text

from app.db import db
from app.jobs import enqueue_many, pause, resume
from tests.e2e.stack import Stack
from tests.support.sample_jobs import bp

QUEUED = 1_000
#: A few seconds at the stack's speed, so that they are at QStash when the type is paused.
DELAY = 40
COUNTS = text(
    """
    SELECT count(*) FILTER (WHERE status = 'pending' AND pause IS NOT NULL) AS waiting,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE started_at IS NOT NULL) AS begun,
           count(*) FILTER (WHERE retry_count > 0 OR jsonb_array_length(attempts) > 1) AS spent
      FROM job_executions WHERE job_type = 'noop'
    """
)


def test_a_type_that_is_paused_while_its_jobs_are_queued_loses_nothing(
    stack: Stack, producer: Flask
) -> None:
    """None of them begins after that or spends a retry, and all are completed after the resume."""
    producer.register_blueprint(bp)
    stack.kill("web", signal.SIGTERM)
    stack.settings["WEB_CONCURRENCY"] = "2"
    stack.start_web("tests.chaos.wsgi:app")
    enqueue_many("noop", [{"action": "none"}] * QUEUED, delay=DELAY, retries=0)
    pause("type", "noop", reason="to see", by="ana")
    _, _, begun, _ = counts()
    assert begun < QUEUED / 2

    stack.await_that(lambda: sum(counts()[:2]) == QUEUED, "all the others back in the outbox")
    assert counts() == (QUEUED - begun, begun, begun, 0)

    resume("type", "noop", by="ben")
    stack.await_that(lambda: counts()[1] == QUEUED, "the end of all of them")
    assert counts() == (0, QUEUED, QUEUED, 0)


def counts() -> tuple[int, int, int, int]:
    with db.engine.connect() as connection:
        waiting, completed, begun, spent = connection.execute(COUNTS).one()
    return waiting, completed, begun, spent
