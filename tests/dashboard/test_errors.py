"""Failed jobs by what went wrong."""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash

from app.dashboard import Role, User
from tests.support.rows import add_row, row_of

from .pages import PREFIX, Reader, text_of

MARKUP = "<script>alert(1)</script>"


def failed(error: str, **values: Any) -> str:
    return add_row(**{"status": "failed", "error": error, **values})


def kinds_on(page: str) -> list[str]:
    return re.findall(r"<code>([0-9a-f]{12})</code>", page)


def test_errors_that_differ_in_numbers_and_ids_are_one(reader: Reader) -> None:
    now = datetime.now(UTC)
    failed("row 17 of 0f8fad5b-d9cb-469f-a165-70867728950e is bad at 0x7fa0")
    newest = failed("row 4 of 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed is bad at 0x7fb1", dead_at=now)
    failed("it timed out")
    failed("row 4 is bad", job_type="other")

    page = reader.get("/errors")

    assert len(kinds_on(page.text)) == 3
    assert "2 1 dead 1 retrying" in text_of(page)
    assert newest in page.text


def test_a_group_leads_to_its_jobs(reader: Reader) -> None:
    inside = [failed("row 1 is bad"), failed("row 2 is bad")]
    other = failed("it timed out")
    kind = kinds_on(reader.get("/errors").text)[1]

    page = reader.get(f"/jobs?type=sample&kind={kind}")

    assert all(job_id in page.text for job_id in inside)
    assert other not in page.text
    assert "Retrying 2" in text_of(page)


def test_a_group_is_retried_whole(reader: Reader, qstash: QStash) -> None:
    inside = [failed("row 1 is bad"), failed("row 2 is bad")]
    other = failed("it timed out")
    kind = kinds_on(reader.get("/errors").text)[1]
    form = {"action": "retry", "type": "sample", "kind": kind}

    shown = reader.send("/preview", {**form, "which": "matching"}, at="/errors")
    reader.send("/act", form, at="/errors")

    assert "This changes 2 jobs" in text_of(shown)
    assert [row_of(job_id).status for job_id in inside] == ["pending", "pending"]
    assert row_of(other).status == "failed"


def test_without_failed_jobs_it_says_so(reader: Reader) -> None:
    add_row(status="completed")

    assert "No job is dead or retrying." in text_of(reader.get("/errors"))


def test_markup_in_an_error_is_shown_as_text(reader: Reader) -> None:
    failed(MARKUP, job_type=MARKUP)
    failed("")

    page = reader.get("/errors").text

    assert "alert(1)" in page
    assert MARKUP not in page
    assert "no error was recorded" in page


def test_somebody_of_an_organization_sees_its_errors_only(app: Flask, client: FlaskClient) -> None:
    failed("of ours", organization_id=1)
    failed("of others", organization_id=2)
    app.extensions["jobs.dashboard.ways"] = [lambda: User("vera", Role.VIEWER, organization_id=1)]

    page = client.get(f"{PREFIX}/errors").text

    assert "of ours" in page
    assert "of others" not in page
    assert "Retry…" not in page
