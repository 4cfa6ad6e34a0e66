"""A job that fails for good is counted once, whoever says so."""

import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.db import db
from app.jobs import enqueue
from app.jobs.recover.sweep import sweep
from tests.support.metrics import Scrape, gained
from tests.support.qstash import deliver, envelope

pytestmark = pytest.mark.usefixtures("published")

Kill = Callable[[FlaskClient, str], object]


def refuse(client: FlaskClient, job_id: str) -> None:
    """Deliver a payload that no handler can take."""
    deliver(client, envelope({"action": 5}, jobId=job_id), "/api/jobs/sample")


def give_up(client: FlaskClient, job_id: str) -> None:
    """Say so as QStash does."""
    body = b64encode(json.dumps(envelope({"action": "none"}, jobId=job_id)).encode()).decode()
    row = "SELECT message_id FROM job_executions WHERE job_id = :job_id"
    message_id = db.session.scalar(db.text(row), {"job_id": job_id})
    report = {"sourceMessageId": message_id, "sourceBody": body, "status": 500, "body": ""}
    deliver(client, report, "/api/jobs/failure-callback")


def abandon(client: FlaskClient, job_id: str) -> None:
    """Sweep after its process died, which it has no retries for."""
    died = """
        UPDATE job_executions SET status = 'processing', max_retries = 0,
               started_at = now() - interval '1 h', lease_token = gen_random_uuid(),
               lease_expires_at = now() - interval '1 h'
         WHERE job_id = :job_id
    """
    db.session.execute(db.text(died), {"job_id": job_id})
    db.session.commit()
    sweep()


@pytest.mark.parametrize("kill", [refuse, give_up, abandon])
def test_a_death_is_counted_once(scrape: Scrape, client: FlaskClient, kill: Kill) -> None:
    job_id = enqueue("sample", {"action": "none"})
    before = scrape()
    kill(client, job_id)
    once = gained(before, scrape())
    deliver(client, envelope({"action": 5}, jobId=job_id), "/api/jobs/sample")

    assert once["jobs_dead_total", "sample"] == 1
    assert gained(before, scrape())["jobs_dead_total", "sample"] == 1
