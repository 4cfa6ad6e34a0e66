"""Who may scrape, and what they get besides the counts."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db
from app.jobs import enqueue
from tests.support.metrics import TOKEN, Scrape


@pytest.mark.parametrize(
    ("environment", "token", "sent", "status"),
    [
        ("development", "", None, 200),
        ("test", "", None, 401),
        ("production", "", None, 401),
        ("production", "", "Bearer ", 401),
        ("production", TOKEN, None, 401),
        ("production", TOKEN, "Bearer other", 401),
        ("production", TOKEN, f"Basic {TOKEN}", 401),
        ("development", TOKEN, None, 401),
        ("production", TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
def test_only_the_token_opens_and_without_one_only_development_is_open(
    app: Flask, environment: str, token: str, sent: str | None, status: int
) -> None:
    app.config.update(APP_ENV=environment, METRICS_TOKEN=token)
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


@pytest.mark.usefixtures("no_database")
def test_without_a_database_the_rest_is_scraped(scrape: Scrape) -> None:
    found = scrape()

    assert found["jobs_database_up",] == 0
    assert ("jobs_dead_letters",) not in found


def test_a_scrape_tells_the_process_and_the_version(scrape: Scrape) -> None:
    names = {key[0] for key in scrape()}

    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names
    assert {"app_build_info", "app_processes"} <= names


def test_a_scraper_may_ask_for_openmetrics(app: Flask, client: FlaskClient) -> None:
    app.config["APP_ENV"] = "development"
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
