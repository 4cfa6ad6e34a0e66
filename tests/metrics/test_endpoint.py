"""Who may scrape, and what they get besides the counts."""

import subprocess
import sys

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db
from app.jobs import batch, chain, enqueue, metrics
from app.jobs.errors import JobsNotInitialised
from app.jobs.testing import deliver
from tests.support.metrics import TOKEN, Scrape
from tests.support.sample_jobs import Sample, noop, sample


@pytest.mark.parametrize(
    ("is_open", "token", "sent", "status"),
    [
        (True, "", None, 200),
        (False, "", None, 401),
        (False, "", "Bearer ", 401),
        (False, TOKEN, None, 401),
        (False, TOKEN, "Bearer other", 401),
        (False, TOKEN, f"Basic {TOKEN}", 401),
        (True, TOKEN, None, 401),
        (False, TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
def test_only_the_token_opens_and_without_one_a_setting_of_its_own(
    app: Flask, *, is_open: bool, token: str, sent: str | None, status: int
) -> None:
    app.config.update(JOBS_METRICS_OPEN=is_open, JOBS_METRICS_TOKEN=token)
    headers = {} if sent is None else {"Authorization": sent}
    answer = app.test_client().get("/metrics", headers=headers)

    assert answer.status_code == status
    assert (b"jobs_enqueued_total" in answer.data) == (status == 200)


def test_the_queue_is_counted_by_type_and_state(scrape: Scrape, published: object) -> None:
    assert scrape()["jobs_oldest_pending_age_seconds",] == 0
    for _ in range(2):
        enqueue("sample", {"action": "none"})
    enqueue("noop", {"action": "none"}, delay=3600)
    db.session.execute(db.text("UPDATE job_executions SET created_at = now() - interval '90 s'"))
    db.session.commit()

    found = scrape()
    assert found["jobs_queue_depth", "pending", "sample"] == 2
    assert found["jobs_queue_depth", "pending", "noop"] == 1
    assert 90 <= found["jobs_oldest_pending_age_seconds",] < 120
    assert found["jobs_database_up",] == 1


def test_batches_are_counted_by_state_and_what_the_end_of_others_enqueued(
    scrape: Scrape, published: object
) -> None:
    scrape()
    with batch("invoices", then=noop.s(Sample("none"))) as made:
        (last,) = made.enqueue_many([sample.s(Sample("none"))])
    chain(sample.s(Sample("none")), noop.s(Sample("none")))
    db.session.execute(db.text("UPDATE job_batches SET created_at = now() - interval '90 s'"))
    db.session.commit()
    before = scrape()
    assert before["jobs_batches", "batch", "running"] == 1
    assert before["jobs_batches", "workflow", "running"] == 1
    assert 90 <= before["jobs_oldest_running_batch_age_seconds",] < 120
    deliver(last)

    after = scrape()
    assert after["jobs_batches", "batch", "completed"] == 1
    assert after["jobs_batches", "batch", "failed"] == 0
    followed, enqueued = (
        after[name, "noop"] - before[name, "noop"]
        for name in ("jobs_followups_enqueued_total", "jobs_enqueued_total")
    )
    assert (followed, enqueued) == (1, 1)


@pytest.mark.usefixtures("no_database")
def test_without_a_database_the_rest_is_scraped(scrape: Scrape) -> None:
    found = scrape()

    assert found["jobs_database_up",] == 0
    assert ("jobs_dead_letters",) not in found


def test_a_scrape_tells_the_process_and_the_version(scrape: Scrape) -> None:
    names = {key[0] for key in scrape()}

    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names
    assert {"jobs_build_info", "jobs_processes"} <= names


def test_a_scraper_may_ask_for_openmetrics(app: Flask, client: FlaskClient) -> None:
    app.config["JOBS_METRICS_OPEN"] = True
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_path_that_is_taken_or_no_path_stops_the_start(app: Flask) -> None:
    with pytest.raises(JobsNotInitialised, match=r"/healthz is served by probes\.healthz already"):
        metrics.init_app(app, path="/healthz")
    with pytest.raises(JobsNotInitialised, match='write it like "/metrics"'):
        metrics.init_app(app, path="scrape")
    with pytest.raises(JobsNotInitialised, match=r"call Jobs\.init_app before"):
        metrics.init_app(Flask("bare"))


def test_without_the_extra_the_start_says_what_to_install() -> None:
    code = """
import sys
sys.modules["prometheus_client"] = None
from flask import Flask
from app.jobs import metrics
metrics.init_app(Flask("bare"))
"""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )

    assert "pip install 'flask-qstash-jobs[metrics]'" in done.stderr
