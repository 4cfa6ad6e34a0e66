"""A schedule of unique jobs: what fires while another has its key is not needed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import db
from app.jobs import JobExecution, enqueue, schedule
from app.jobs.table.firing_models import JobFiring
from tests.support.qstash import BASE_URL, claims_for, token
from tests.support.qstash import deliver as post
from tests.support.rows import change_row
from tests.support.unique_jobs import bp

SAME = {"action": "none"}
Fire = Callable[[str], TestResponse]


@pytest.fixture
def fire(app: Flask, client: FlaskClient, qstash: QStash) -> Fire:
    """Deliver a firing of the schedule as QStash does, by a message of this name."""
    app.register_blueprint(bp)

    def fire(message: str) -> TestResponse:
        body = (qstash.schedule.get("hourly").body or "").encode()
        signature = token(claims_for(body, f"{BASE_URL}/api/jobs/one"))
        sent = {"upstash_schedule_id": "hourly", "upstash_message_id": message}
        return post(client, body, "/api/jobs/one", signature=signature, **sent)

    return fire


def statuses() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution.status).order_by(JobExecution.id)))


@pytest.mark.parametrize("rules", [{}, {"overlap": "skip"}], ids=["plain", "with rules"])
def test_what_fires_while_another_has_the_key_leaves_no_row(
    fire: Fire, rules: dict[str, Any]
) -> None:
    schedule("one", "0 * * * *", SAME, schedule_id="hourly", **rules)
    waiting = enqueue("one", SAME)

    answers = [fire("msg_1").json, fire("msg_1").json]

    assert [answer and answer["skipped"] for answer in answers] == ["existing", "deleted"]
    assert statuses() == ["pending"]
    if rules:
        [told] = db.session.scalars(select(JobFiring))
        assert told.reason == f"job {waiting} does the same, and has not ended"
        return
    change_row(waiting, status="completed")
    assert fire("msg_2").status_code == 200
    assert statuses() == ["completed", "completed"]


def test_a_firing_that_waits_or_failed_has_the_key(fire: Fire) -> None:
    schedule("one", "0 * * * *", {"action": "permanent"}, schedule_id="hourly")
    fire("msg_1")
    assert statuses() == ["failed"]
    change_row(db.session.scalars(select(JobExecution.job_id)).one(), dead_at=None)

    assert enqueue("one", {"action": "permanent"}).existed
