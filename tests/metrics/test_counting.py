"""What is counted, by what is scraped."""

import subprocess
import sys

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db
from app.jobs import Options, enqueue, enqueue_many
from app.jobs.events import Event, observe
from app.jobs.testing import deliver
from tests.support.apps import settings
from tests.support.metrics import Samples, Scrape, gained

pytestmark = pytest.mark.usefixtures("published")

NOW: Options = {"delay": 0}


def outcomes(before: Samples, after: Samples) -> dict[str, float]:
    return {
        key[1]: value
        for key, value in gained(before, after).items()
        if key[0] == "jobs_deliveries_total"
    }


def test_enqueued_are_counted_by_type_once_they_are_committed(scrape: Scrape) -> None:
    before = scrape()
    enqueue("sample", {"action": "none"})
    enqueue_many("noop", [{"action": "none"}] * 3)
    enqueue("sample", {"action": "none"}, session=db.session)
    db.session.rollback()

    found = gained(before, scrape())
    assert found["jobs_enqueued_total", "sample"] == 1
    assert found["jobs_enqueued_total", "noop"] == 3


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("none", "completed"),
        ("fail", "failed"),
        ("permanent", "dead"),
        ("later", "rescheduled"),
        ("stuck", "continued"),
    ],
)
def test_deliveries_are_counted_by_what_they_came_to(
    scrape: Scrape, action: str, outcome: str
) -> None:
    before = scrape()
    deliver(enqueue("sample", {"action": action}))

    assert outcomes(before, scrape()) == {outcome: 1}


def test_a_duplicate_is_skipped_and_runs_nothing(scrape: Scrape) -> None:
    job_id = enqueue("sample", {"action": "none"})
    deliver(job_id)
    before = scrape()
    deliver(job_id)

    assert gained(before, scrape()) == {("jobs_deliveries_total", "skipped", "sample"): 1}


def test_what_a_handler_took_and_its_job_waited_is_in_seconds(scrape: Scrape) -> None:
    before = scrape()
    deliver(enqueue("sample", {"action": "none"}))

    found = gained(before, scrape())
    assert found["jobs_execution_duration_seconds_count", "sample"] == 1
    assert found["jobs_waiting_seconds_count", "sample"] == 1
    assert 0 < found["jobs_waiting_seconds_sum", "sample"] < 60
    assert found["jobs_execution_duration_seconds_bucket", "10.0", "sample"] == 1


def test_the_last_failure_is_dead_and_was_a_retry(scrape: Scrape) -> None:
    job_id = enqueue("sample", {"action": "fail"}, retries=1)
    deliver(job_id)
    before = scrape()
    deliver(job_id, retried=1)

    found = gained(before, scrape())
    assert found["jobs_deliveries_total", "dead", "sample"] == 1
    assert found["jobs_retries_total", "sample"] == 1
    assert found["jobs_dead_total", "sample"] == 1
    assert not [key for key in found if key[0].startswith("jobs_waiting")]


def test_a_forged_delivery_and_a_forged_webhook_are_counted_apart(
    scrape: Scrape, client: FlaskClient
) -> None:
    before = scrape()
    client.post("/api/jobs/sample", json={}, headers={"Upstash-Signature": "forged"})
    forged = {"X-Hub-Signature-256": f"sha256={'0' * 64}", "X-GitHub-Event": "push"}
    client.post("/api/webhooks/github", json={}, headers=forged)

    found = gained(before, scrape())
    assert found["jobs_signature_failures_total", "qstash"] == 1
    assert found["jobs_signature_failures_total", "github"] == 1


def test_an_observer_that_fails_disturbs_no_job(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise OSError("no space left on device")

    observe(app, broken)

    assert deliver(enqueue("sample", {"action": "none"})).status_code == 200
    assert "Observer failed" in caplog.text


def test_a_command_does_not_load_the_client_that_nobody_would_scrape(database_url: str) -> None:
    script = f"""
import sys
from app import create_app
app = create_app({settings(database_url)!r})
with app.app_context():
    from app.jobs.events import JobDied, emit
    emit(JobDied("sample"))
sys.exit(int("prometheus_client" in sys.modules or "opentelemetry" in sys.modules))
"""
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603 - our own script
