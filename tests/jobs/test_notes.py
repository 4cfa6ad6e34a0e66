"""That QStash has a job is noted a moment later, unless the job's claim has done so by then."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import text

from app.config import DEV_QSTASH
from app.db import db
from app.jobs import enqueue, enqueue_many
from app.jobs.message import Message
from app.jobs.publish import outbox
from app.jobs.publish.outbox import Notes
from app.jobs.recover.sweep import sweep
from tests.support.qstash import BASE_URL, deliver
from tests.support.rows import row_of
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
GOOD = {"action": "none"}

#: Enqueues a job, and another in a fork, which lives until that is noted; prints their ids.
SCRIPT = """
import os, sys, time
from app import create_app
from app.jobs import enqueue, get_job_execution_by_job_id as find
from app.jobs.kit import forget_connections
from app.jobs.publish import outbox
from tests.support.sample_jobs import bp

app = create_app()
app.register_blueprint(bp)
outbox.NOTE_AFTER = 0.2
with app.app_context():
    print(enqueue("sample", {"action": "none"}), flush=True)
    if os.fork() == 0:
        forget_connections(app)
        print(job_id := enqueue("sample", {"action": "none"}), flush=True)
        give_up_at = time.monotonic() + 10
        while find(job_id).message_id is None and time.monotonic() < give_up_at:
            time.sleep(0.02)
        os._exit(0)
    outbox.NOTE_AFTER = 3600
    os.wait()
    outbox.notes().flush()
    print(enqueue("sample", {"action": "none"}), flush=True)
"""


@pytest.fixture
def in_production(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Note later, as an app does that is not tested; here never, unless a test asks for it."""
    monkeypatch.setitem(app.config, "TESTING", False)
    monkeypatch.setattr(outbox, "NOTE_AFTER", 3600)
    yield
    app.extensions["jobs"].notes.flush()


def version_of(job_id: str) -> Any:
    db.session.rollback()
    asked = text("SELECT xmin::text FROM job_executions WHERE job_id = :job_id")
    return db.session.execute(asked, {"job_id": job_id}).scalar_one()


@pytest.mark.usefixtures("in_production", "qstash")
def test_many_jobs_are_noted_by_one_statement(statements: list[str]) -> None:
    job_ids = [enqueue("sample", GOOD), *enqueue_many("sample", [GOOD] * 20)]
    outbox.notes().flush()

    assert sum("UPDATE job_executions" in statement for statement in statements) == 1
    assert all(row_of(job_id).message_id for job_id in job_ids)


@pytest.mark.usefixtures("in_production", "qstash")
def test_a_moment_later_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "NOTE_AFTER", 0.05)
    for _ in range(2):
        job_id = enqueue("sample", GOOD)

        wait_until(lambda job_id=job_id: row_of(job_id).published_at)  # type: ignore[misc]  # mypy cannot infer a default's type


@pytest.mark.usefixtures("in_production", "qstash")
def test_of_a_job_that_was_claimed_nothing_is_left_to_write(client: FlaskClient) -> None:
    job_id = enqueue("sample", GOOD)
    assert row_of(job_id).published_at is None
    deliver(client, row_of(job_id).payload)
    before = version_of(job_id)

    outbox.notes().flush()

    assert version_of(job_id) == before
    assert row_of(job_id).message_id == "msg_1"


@pytest.mark.usefixtures("in_production", "qstash")
def test_what_no_claim_notes_soon_is_noted_at_once() -> None:
    assert row_of(enqueue("sample", GOOD, delay=60)).message_id

    job_id = enqueue("sample", GOOD)
    elsewhere = Message(
        job_id=job_id, job_type="sample", endpoint="https://images.example", body="{}", options={}
    )
    outbox.notes().put([(elsewhere, "msg_1")])
    assert row_of(job_id).message_id == "msg_1"


@pytest.mark.usefixtures("in_production")
def test_after_a_kill_it_is_published_again_and_qstash_drops_that(
    app: Flask, qstash: QStash, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = enqueue("sample", GOOD)
    killed = Notes(app)
    monkeypatch.setattr(outbox, "notes", lambda: killed)

    assert sweep(grace=0).published == 1
    message_id = row_of(job_id).message_id
    assert message_id is not None
    events = qstash.log.list(filter={"url": f"{BASE_URL}/api/jobs/sample"}).logs
    assert {event.message_id for event in events} == {message_id}


def test_the_end_of_a_process_leaves_nothing_unnoted(app: Flask, qstash: QStash) -> None:
    env = {
        **os.environ,
        **DEV_QSTASH,
        "APP_ENV": "test",
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
        "BASE_URL": BASE_URL,
        "QSTASH_URL": app.config["QSTASH_URL"],
    }

    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - ours

    job_ids = done.stdout.split()
    assert len(job_ids) == 3, done.stderr
    assert all(row_of(job_id).message_id for job_id in job_ids)
