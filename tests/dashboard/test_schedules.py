"""The schedules at QStash."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash

from app.dashboard import Role, User
from app.db import db
from app.jobs import JobExecution, schedule
from app.jobs.operate import audit
from tests.support.rows import add_row

from .pages import PREFIX, Reader, text_of

#: The one of the tests, as QStash has it.
NAME = "nightly"


@pytest.fixture
def nightly(qstash: QStash) -> str:
    return schedule("sample", "0 3 * * *", {"action": "echo"}, schedule_id=NAME)


def noted() -> list[str]:
    db.session.rollback()
    return [row.action for row in reversed(audit.entries(limit=9))]


def test_it_shows_each_in_words_with_its_runs(reader: Reader, nightly: str) -> None:
    job_id = add_row(schedule_id=nightly, status="completed")

    page = reader.get("/schedules")

    assert "At 03:00 every day" in text_of(page)
    assert f"{nightly} 0 3 * * * · made by hand" in text_of(page)
    assert f"/job/{job_id}" in page.text


def test_it_is_run_now(reader: Reader, nightly: str) -> None:
    answer = reader.send("/schedules/run", {"id": nightly}, at="/schedules")

    assert answer.location == f"{PREFIX}/schedules"
    row = db.session.query(JobExecution).one()
    assert row.job_type == "sample"
    assert f"made job {row.job_id}" in text_of(reader.get("/schedules"))
    assert noted() == ["schedule run"]


def test_it_is_paused_and_resumed(reader: Reader, nightly: str, qstash: QStash) -> None:
    reader.send("/schedules/pause", {"id": nightly}, at="/schedules")
    paused = qstash.schedule.get(nightly).paused
    shown = text_of(reader.get("/schedules"))
    reader.send("/schedules/resume", {"id": nightly}, at="/schedules")

    assert paused
    assert f"Schedule {nightly} is paused." in shown
    assert "Resume" in shown
    assert not qstash.schedule.get(nightly).paused
    assert noted() == ["schedule pause", "schedule resume"]


def test_it_is_deleted(reader: Reader, nightly: str, qstash: QStash) -> None:
    reader.send("/schedules/delete", {"id": nightly}, at="/schedules")

    assert [one.schedule_id for one in qstash.schedule.list()] == []
    assert noted() == ["schedule delete"]


def test_what_the_code_wants_is_made_with_a_button(reader: Reader, qstash: QStash) -> None:
    before = text_of(reader.get("/schedules"))
    reader.send("/schedules/sync", {}, at="/schedules")
    after = text_of(reader.get("/schedules"))

    assert "QStash does not match the code" in before
    assert "create code." in before
    assert "QStash does not match the code" not in after
    assert "from the code" in after
    assert noted() == ["schedule sync"]


def test_one_that_there_is_not_is_said_so(reader: Reader, nightly: str) -> None:
    reader.send("/schedules/pause", {"id": "<b>nobody's</b>"}, at="/schedules")

    shown = reader.get("/schedules").text

    assert "Nothing was changed: no schedule" in shown
    assert "<b>nobody" not in shown
    assert noted() == []


def test_without_qstash_it_says_so(reader: Reader) -> None:
    answer = reader.get("/schedules")

    assert answer.status_code == 503
    assert "QStash" in text_of(answer)


@pytest.mark.parametrize("action", ["run", "pause", "resume", "delete", "sync"])
def test_a_viewer_changes_none(
    app: Flask, client: FlaskClient, nightly: str, qstash: QStash, action: str
) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("vera", Role.VIEWER)]

    shown = client.get(f"{PREFIX}/schedules")
    answer = client.post(f"{PREFIX}/schedules/{action}", data={"id": nightly})

    assert "At 03:00 every day" in text_of(shown)
    assert f"/schedules/{action}" not in shown.text
    assert answer.status_code == 403
    assert not qstash.schedule.get(nightly).paused


def test_somebody_of_an_organization_sees_none(app: Flask, client: FlaskClient) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]

    assert client.get(f"{PREFIX}/schedules").status_code == 403
