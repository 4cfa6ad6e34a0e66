"""The overview."""

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash

from app.dashboard import Role, User, cached
from app.jobs import enqueue
from app.jobs.operate import usage
from tests.support.rows import AddJobs, add_row
from tests.support.waiting import wait_until

from .pages import PREFIX, Reader, text_of

MARKUP = "<script>alert(1)</script>"


def test_it_counts_the_jobs_by_state(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(2, "failed")
    add_jobs(3, "failed", dead_at="now()", completed_at="now()")
    add_jobs(1, "completed", completed_at="now()")

    shown = text_of(reader.get(""))

    assert "Pending 0 Processing 0 Retrying 2 Dead 3 Completed 1 Cancelled 0" in shown


def test_without_trouble_it_says_so(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(3, "completed", completed_at="now()")

    shown = text_of(reader.get(""))

    assert "Healthy jobs run as they should" in shown
    assert "Needs attention Nothing." in shown
    assert "QStash messages today 0" in shown


def test_what_is_wrong_leads_to_its_list(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(9, "failed", dead_at="now()", completed_at="now()", published_at="now()")
    add_jobs(1, "completed", completed_at="now()")

    page = reader.get("")

    assert "Unhealthy" in text_of(page)
    assert "9 of 10 jobs of the last hour failed (90.0%)" in text_of(page)
    assert 'href="/admin/jobs/jobs?state=dead&amp;newer=1h"' in page.text
    assert "9 jobs are dead" in text_of(page)


def test_what_qstash_shows_to_be_wrong_leads_to_its_screen(
    app: Flask, reader: Reader, live_qstash: QStash
) -> None:
    app.view_functions["samples.sample"] = lambda: ("not here", 404)
    enqueue("sample", {"action": "none"}, retries=0)
    wait_until(lambda: live_qstash.dlq.list().messages, "a dead letter")

    page = reader.get("")

    assert f'<a href="{PREFIX}/schedules">QStash differs from the code in' in page.text
    said = "QStash gave up 1 message of sample, as deliveries were answered 404"
    assert f'<a href="{PREFIX}/dead-letters">{said}</a>' in page.text


@pytest.mark.parametrize(
    ("period", "ended"), [("hour", "1 completed"), ("day", "3 completed"), ("week", "6 completed")]
)
def test_the_chart_has_what_ended_in_its_time(
    reader: Reader, add_jobs: AddJobs, period: str, ended: str
) -> None:
    for count, ago in ((1, "10 minutes"), (2, "5 hours"), (3, "3 days")):
        add_jobs(count, "completed", completed_at=f"now() - interval '{ago}'")

    page = reader.get(f"?period={period}")

    assert f"In the last {period}, {ended[0]} job" in page.text
    assert page.text.count('class="span completed"') == int(
        {"hour": "1", "day": "2", "week": "3"}[period]
    )


def test_it_tells_how_long_jobs_of_each_type_ran_and_waited(reader: Reader) -> None:
    now = datetime.now(UTC)
    add_row(
        job_type=MARKUP,
        status="completed",
        created_at=now - timedelta(seconds=100),
        started_at=now - timedelta(seconds=90),
        completed_at=now - timedelta(seconds=60),
    )

    add_row(job_type="dead", status="failed", dead_at=now, completed_at=now)

    page = reader.get("")

    assert "dead dead 1 0.017 — — — —" in text_of(page)
    assert "completed 1 0.017 30.7 s 30.7 s 10.2 s 10.2 s" in text_of(page)
    assert MARKUP not in page.text
    assert "alert(1)" in page.text


def test_many_overviews_cost_as_much_as_one(reader: Reader, add_jobs: AddJobs) -> None:
    first = text_of(reader.get(""))
    add_jobs(1, "completed", completed_at="now()")

    assert "Completed 0" in first
    assert "Completed 0" in text_of(reader.get(""))


def test_somebody_of_an_organization_sees_its_figures_only(app: Flask, client: FlaskClient) -> None:
    add_row(organization_id=1)
    add_row(organization_id=2, job_type="of-another")
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.VIEWER, organization_id=1)]

    shown = text_of(client.get(PREFIX))

    assert "Pending 1" in shown
    assert "of-another" not in shown
    assert "Needs attention" not in shown


def test_without_the_database_it_says_so(reader: Reader, no_database: None) -> None:
    answer = reader.get("")

    assert answer.status_code == 503
    assert "the database cannot be reached" in text_of(answer)


def test_what_takes_long_is_computed_beside_the_page_and_once_for_all(
    app: Flask, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = Event()
    calls: list[dict[str, Any]] = []

    def slow(**given: Any) -> usage.Lately:
        calls.append(given)
        going.wait(60)
        return counted(**given)

    counted = usage.lately
    monkeypatch.setattr(usage, "lately", slow)
    monkeypatch.setattr(cached, "PATIENCE", 0.01)

    first = [text_of(reader.get("/usage")) for _ in range(3)]
    going.set()
    wait_until(lambda: "Today, since midnight UTC" in text_of(reader.get("/usage")))

    assert all("The messages are being counted…" in page for page in first)
    assert len(calls) == 1


def test_usage_lists_the_organizations_that_took_the_most(reader: Reader) -> None:
    for number in range(1, 53):
        add_row(organization_id=number, published_at=datetime.now(UTC), message_id=f"m{number}")

    page = text_of(reader.get("/usage"))

    assert "The 50 with the most of 52 organizations." in page
