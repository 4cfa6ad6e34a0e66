"""The job `generate-report`: what its payload refuses, and from a delivery to a stored file."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import ValidationError
from sqlalchemy import select

from app import jobs
from app.artifacts import Artifact
from app.artifacts.stores import current_store
from app.db import db
from app.families.reports.generate_report import GenerateReportSchema
from app.families.reports.renderers.formats import get_format
from app.families.reports.types import monthly_analytics  # noqa: F401 - declares the type
from app.jobs import Job, JobExecution
from app.jobs.registry import get_job_config
from app.jobs.table.job_rows import get_job_execution_by_job_id
from app.jobs.testing import drain
from tests.support.qstash import deliver, envelope

WANTED = {
    "reportType": "monthly-analytics",
    "startDate": "2026-10-01",
    "endDate": "2026-10-31",
    "format": "json",
}


def errors(**changes: Any) -> Any:
    with pytest.raises(ValidationError) as raised:
        GenerateReportSchema().load({**WANTED, **changes})
    return raised.value.messages


def delivered(client: FlaskClient, *, organization: int | None = None, **changes: Any) -> Any:
    """Deliver a job and return its row."""
    body = envelope({**WANTED, **changes}, job_type="generate-report")
    body["metadata"]["organizationId"] = organization
    deliver(client, body, "/api/jobs/report")
    db.session.rollback()
    return get_job_execution_by_job_id(body["jobId"])


def test_a_type_that_there_is_not_is_told_the_nearest() -> None:
    said = errors(reportType="monthly-analytic")["reportType"][0]

    assert said == "Unknown report type 'monthly-analytic'; did you mean: monthly-analytics?"


def test_a_format_that_resembles_none_is_told_all() -> None:
    said = errors(format="docm")["format"][0]

    assert said == "Unknown format 'docm'; known: pdf, html, xlsx, csv, json"


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "2026-02-30", "", "01.10.2026"])
def test_what_is_no_day_is_refused_with_an_example(day: str) -> None:
    assert errors(startDate=day) == {"startDate": ['Must be a date such as "2026-10-31".']}


def test_an_end_before_the_start_is_refused() -> None:
    said = errors(startDate="2026-10-31", endDate="2026-10-01")["endDate"]

    assert said == ["Must not be before startDate (2026-10-31)."]


def test_a_period_of_more_than_a_year_is_refused_with_its_length() -> None:
    said = errors(startDate="2025-01-01", endDate="2026-10-31")["endDate"]

    assert said == ["The period has 669 days; a report covers at most 366."]


@pytest.mark.parametrize("year", ["0001", "1026", "9999"])
def test_a_year_that_must_be_a_typing_error_is_refused(year: str) -> None:
    said = errors(startDate=f"{year}-01-01", endDate=f"{year}-01-31")

    assert said["endDate"] == ["The year must be between 1990 and 2100."]


def test_an_empty_payload_is_told_all_that_it_lacks() -> None:
    with pytest.raises(ValidationError) as raised:
        GenerateReportSchema().load({})

    assert set(raised.value.messages_dict) == set(WANTED)


def test_it_is_run_as_the_design_says(app: Flask) -> None:
    config = get_job_config("generate-report")

    assert (config.endpoint, config.retries, config.timeout) == ("/api/jobs/report", 2, 180)


def test_a_report_is_stored_as_a_file_that_the_result_names(
    client: FlaskClient, world: Flask
) -> None:
    job = delivered(client, organization=2)

    artifact = db.session.scalars(select(Artifact)).one()
    assert job.progress == {"done": 2, "total": 2, "note": "stored"}
    assert job.result == {
        "artifact": {
            "id": artifact.id,
            "name": "monthly-analytics-2026-10-01-to-2026-10-31.json",
            "size": artifact.size,
            "sha256": artifact.sha256,
        },
        "reportType": "monthly-analytics",
        "period": {"startDate": "2026-10-01", "endDate": "2026-10-31"},
    }
    assert artifact.organization_id == 2
    content = b"".join(current_store().read(artifact.key))
    assert hashlib.sha256(content).hexdigest() == artifact.sha256
    assert json.loads(content)["organization"]["id"] == 2


def test_an_organization_that_is_gone_fails_the_job_for_good(client: FlaskClient) -> None:
    row = delivered(client, organization=404)

    assert row.dead_at is not None
    assert row.error == "PermanentError: no organization 404 to report on"
    assert not db.session.scalars(select(Artifact)).all()


@pytest.mark.parametrize("format_name", ["pdf", "html", "xlsx", "csv"])
def test_every_format_is_stored_under_its_own_media_type(
    client: FlaskClient, world: Flask, format_name: str
) -> None:
    delivered(client, format=format_name, reportType="job-performance")

    artifact = db.session.scalars(select(Artifact)).one()
    assert artifact.name.endswith(f".{format_name}")
    assert artifact.media_type == get_format(format_name).media_type
    assert artifact.size > 1000


def emails() -> list[JobExecution]:
    found = select(JobExecution).where(JobExecution.job_type == "send-email")
    return list(db.session.scalars(found.order_by(JobExecution.id)))


PEOPLE = ["ann@example.com", "bob@example.com"]


@pytest.mark.usefixtures("published")
def test_each_recipient_gets_an_email_with_a_link_that_downloads_the_file(
    app: Flask, client: FlaskClient
) -> None:
    jobs.enqueue("generate-report", {**WANTED, "recipients": PEOPLE}, user_id=7)

    drain()

    artifact = db.session.scalars(select(Artifact)).one()
    assert [(job.payload["payload"]["to"], job.user_id, job.status) for job in emails()] == [
        (address, 7, "completed") for address in PEOPLE
    ]
    for page in Path(app.instance_path, "mailbox").glob("*.html"):
        mail = page.read_text()
        assert "Monthly analytics, 1–31 Oct 2026" in mail  # noqa: RUF001 - an en dash
        [link, *_] = re.findall(r'href="(http[^"]*/api/artifacts/[^"]*)"', mail)
        with client.get(urlsplit(link).path) as answer:
            assert answer.data == b"".join(current_store().read(artifact.key))


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (["ann@example.com", "Ann@example.com"], "Listed more than once: ann@example.com."),
        (["ann"], "Not a valid email address."),
        ([f"a{n}@example.com" for n in range(21)], "Longer than maximum length 20."),
        ("ann@example.com", "Not a valid list."),
    ],
)
def test_recipients_that_cannot_be_are_refused(people: Any, said: str) -> None:
    assert said in str(errors(recipients=people)["recipients"])


def test_a_report_that_fails_at_its_very_end_tells_nobody_until_it_is_done(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Job.progress

    def fail(job: Job, done: int, total: int | None = None, note: str | None = None) -> None:
        if note == "stored":
            raise OSError("on the last line")
        progress(job, done, total, note)

    body = envelope({**WANTED, "recipients": PEOPLE}, job_type="generate-report")
    with monkeypatch.context() as patch:
        patch.setattr(Job, "progress", fail)
        deliver(client, body, "/api/jobs/report")
    db.session.rollback()
    assert emails() == []

    for _ in range(3):
        deliver(client, body, "/api/jobs/report")
    db.session.rollback()
    assert [job.payload["payload"]["to"] for job in emails()] == PEOPLE


def test_a_report_of_the_public_starter_is_made(client: FlaskClient) -> None:
    """It says from when to when in one field, and calls the type `analytics`."""
    payload = {
        "reportType": "analytics",
        "dateRange": {"from": "2025-01-01T00:00:00.000Z", "to": "2025-01-31T23:59:59.999Z"},
        "recipients": ["ada@example.com"],
        "format": "json",
    }
    body = envelope(payload, job_type="generate-report")

    assert deliver(client, body, "/api/jobs/report").status_code == 200

    result = (get_job_execution_by_job_id(body["jobId"]) or JobExecution()).result or {}
    assert result["period"] == {"startDate": "2025-01-01", "endDate": "2025-01-31"}
    assert result["reportType"] == "monthly-analytics"


@pytest.mark.parametrize("span", [None, [], {"from": 5}, {"from": "x", "to": "y"}])
def test_a_span_that_is_none_is_refused_with_our_fields(client: FlaskClient, span: Any) -> None:
    payload = {"reportType": "analytics", "dateRange": span, "format": "json"}

    answer = deliver(client, envelope(payload, job_type="generate-report"), "/api/jobs/report")

    assert answer.status_code == 489
    assert (answer.json or {})["errors"].keys() <= {"startDate", "endDate"}
