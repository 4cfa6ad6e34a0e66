"""The schedules at QStash."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash

from app.dashboard import Role, User
from app.db import db
from app.jobs import JobExecution, schedule
from app.jobs.operate import audit, schedules
from app.jobs.table.firing_models import JobFiring
from tests.support.qstash import deliver
from tests.support.rows import add_row

from .pages import PREFIX, Reader, text_of

#: The one of the tests, as QStash has it.
NAME = "nightly"
#: Where the form for one is.
AT = "/schedules/edit?type=sample"


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
    page = reader.get("/schedules")
    assert f"made job {row.job_id}" in text_of(page)
    assert f'href="{PREFIX}/job/{row.job_id}" class="pending by-hand"' in page.text
    assert "silent" not in text_of(page)
    (entry,) = audit.entries_of(row.job_id)
    assert (entry.action, entry.filter) == ("schedule run", {"schedule": nightly})
    assert f"Schedule {nightly} , run by {entry.actor}" in text_of(reader.get(f"/job/{row.job_id}"))


def test_its_tags_are_those_of_its_jobs(
    reader: Reader, client: FlaskClient, qstash: QStash
) -> None:
    tags = {"tags": "weekly billing", "payload.action": "echo", "cron": "0 3 * * *"}
    reader.send("/schedules/save", {"type": "sample", "name": NAME, **tags}, at=AT)
    page = reader.get("/schedules")
    edited = form_of(reader.get(f"/schedules/edit?id={NAME}").text)
    sent = json.loads(qstash.schedule.get(NAME).body or "")

    answer = deliver(client, sent, upstash_schedule_id=NAME, upstash_message_id="msg_firing")

    assert answer.status_code == 200
    assert "0 3 * * * · made by hand weekly billing" in text_of(page)
    assert edited["tags"] == "weekly billing"
    assert f"/schedules/edit?id={NAME}" in page.text
    row = db.session.query(JobExecution).one()
    assert row.tags == ["weekly", "billing"]
    assert f"/job/{row.job_id}" in reader.get("/jobs?tag=weekly").text


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


def form_of(page: str) -> dict[str, str]:
    """Return what a page's form for a schedule would send as it is."""
    inputs = re.findall(r"<input [^>]*>", page)
    found = {
        name[1]: unescape(value[1]) if (value := re.search(r'value="([^"]*)"', one)) else ""
        for one in inputs
        if (name := re.search(r'name="([^"]+)"', one))
    }
    areas = re.findall(r'<textarea name="([^"]+)".*?>(.*?)</textarea>', page, re.DOTALL)
    return found | {name: unescape(text) for name, text in areas}


def test_one_is_made_by_a_form(reader: Reader, qstash: QStash) -> None:
    assert "sample" in text_of(reader.get("/schedules/edit"))
    given = form_of(reader.get("/schedules/edit?type=sample").text)
    filled = {"name": "weekly", "cron": "0 6 * * 1", "timezone": "Europe/Berlin"}

    answer = reader.send("/schedules/save", {**given, **filled, "payload.action": "echo"}, at=AT)

    assert answer.location == f"{PREFIX}/schedules"
    assert qstash.schedule.get("weekly").cron == "CRON_TZ=Europe/Berlin 0 6 * * 1"
    assert "Schedule weekly is made." in text_of(reader.get("/schedules"))
    assert noted() == ["schedule create"]


def test_the_rules_of_its_firings_are_in_the_form_and_stay_when_it_is_edited(
    reader: Reader, qstash: QStash
) -> None:
    given = form_of(reader.get("/schedules/edit?type=sample").text)
    rules = {"overlap": "queue", "catch_up": "all", "jitter": "30s"}
    filled = {"name": "weekly", "cron": "0 6 * * 1", "payload.action": "echo", **rules}

    reader.send("/schedules/save", {**given, **filled}, at=AT)
    page = reader.get("/schedules")
    form = reader.get("/schedules/edit?id=weekly").text
    again = {**form_of(form), "overlap": "queue", "catch_up": "all"}
    answer = reader.send("/schedules/save", again, at=AT)

    assert "overlap: queue · jitter 30 s · catch up: all" in text_of(page)
    for value in ("queue", "all"):
        assert f'<option value="{value}" selected>' in form
    assert form_of(form)["jitter"] == "30s"
    assert answer.location == f"{PREFIX}/schedules"
    sent = json.loads(qstash.schedule.get("weekly").body or "")
    assert sent["metadata"]["scheduleRules"] == {
        "id": "weekly",
        "overlap": "queue",
        "jitter": 30,
        "catchUp": "all",
    }


def test_the_strip_shows_what_was_skipped_and_what_was_made_up_for(
    reader: Reader, qstash: QStash
) -> None:
    schedule("sample", "0 3 * * *", {"action": "echo"}, schedule_id=NAME, overlap="skip")
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    job_id = add_row(schedule_id=NAME, status="completed", scheduled_for=noon)
    for days, outcome, about in (
        (0, "caught up", {"job_id": job_id}),
        (1, "skipped", {"reason": "job <b> runs still"}),
        (2, "missed", {"reason": "QStash did not bring it", "job_id": job_id}),
    ):
        due = noon + timedelta(days=days)
        db.session.add(JobFiring(schedule_id=NAME, scheduled_for=due, outcome=outcome, **about))
    db.session.commit()

    page = reader.get("/schedules").text

    assert "completed, caught up" in page
    assert "skipped: job &lt;b&gt; runs still" in page
    assert "missed: QStash did not bring it" in page
    assert page.index("caught up") < page.index("skipped:") < page.index("missed:")


def test_one_that_is_not_from_the_code_is_edited_and_stays_paused(
    reader: Reader, nightly: str, qstash: QStash
) -> None:
    reader.send("/schedules/pause", {"id": nightly}, at="/schedules")
    assert f"/schedules/edit?id={nightly}" in reader.get("/schedules").text

    given = form_of(reader.get(f"/schedules/edit?id={nightly}").text)
    assert (given["cron"], given["payload.action"]) == ("0 3 * * *", "echo")
    answer = reader.send("/schedules/save", {**given, "cron": "30 4 * * *"}, at=AT)

    assert answer.location == f"{PREFIX}/schedules"
    (now,) = qstash.schedule.list()
    assert (now.schedule_id, now.cron, now.paused) == (nightly, "30 4 * * *", True)
    assert json.loads(now.body or "")["payload"]["action"] == "echo"
    assert noted() == ["schedule pause", "schedule edit"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cron": "0 6 * *"}, "cron"),
        ({"cron": ""}, "cron"),
        ({"timezone": "Europe/Bonn"}, "Europe/Bonn"),
        ({"name": NAME}, "there is a schedule 'nightly' already"),
        ({"name": "code.mine"}, "begins those of the code"),
        ({"payload.action": ""}, "Missing data"),
        ({"user": "x"}, "user: 'x' is not"),
        ({"delay": "soon"}, "delay"),
        ({"jitter": "8d"}, "jitter: 691200 s are not less than"),
        ({"overlap": "never"}, "overlap: 'never' is none"),
        ({"overlap": "skip", "catch_up": "all"}, "catch_up: with overlap"),
        ({"before": "gone"}, "no schedule 'gone' calls this app"),
    ],
)
def test_a_schedule_that_cannot_be_is_explained_in_the_form(
    reader: Reader, nightly: str, qstash: QStash, changed: dict[str, str], said: str
) -> None:
    form = {"type": "sample", "name": "new", "cron": "0 6 * * 1", "payload.action": "echo"}

    answer = reader.send("/schedules/save", {**form, **changed}, at=AT)

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert [(one.schedule_id, one.cron) for one in qstash.schedule.list()] == [
        (nightly, "0 3 * * *")
    ]
    assert noted() == []


def test_those_of_the_code_and_those_that_the_form_cannot_hold_are_not_edited_there(
    reader: Reader, qstash: QStash
) -> None:
    reader.send("/schedules/sync", {}, at="/schedules")
    (of_code, *_) = qstash.schedule.list()
    schedule("sample", "0 3 * * *", {"action": "echo"}, schedule_id="queued", queue="mail")

    answers = [reader.get(f"/schedules/edit?id={one}") for one in (of_code.schedule_id, "queued")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert "is from the code: change it there" in text_of(answers[0])
    assert "has a queue, which this form would drop" in text_of(answers[1])
    assert reader.get("/schedules/edit?type=nothing").status_code == 404


def test_one_that_fires_no_more_is_named(
    reader: Reader, nightly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QStash has it, and has made it long ago, but no job came."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    add_row(
        schedule_id=nightly,
        status="completed",
        created_at=long_ago,
        payload={"payload": {}, "metadata": {"cron": "0 3 * * *"}},
    )
    assert "silent" not in text_of(reader.get("/schedules"))  # it was made a moment ago
    installed = schedules.installed

    def made_long_ago() -> list[Any]:
        found = installed()
        for one in found:
            one.created_at = 0
        return found

    monkeypatch.setattr(schedules, "installed", made_long_ago)
    page = text_of(reader.get("/schedules"))

    assert "silent no job since 3 d ago , due" in page


def test_commands_leave_a_line_in_the_audit_as_well(
    cli: FlaskCliRunner, nightly: str, app: Flask
) -> None:
    for args in (
        ["pause", nightly],
        ["resume", nightly],
        ["run", nightly],
        ["delete", nightly, "--yes"],
    ):
        assert cli.invoke(args=["jobs", "schedules", *args]).exit_code == 0
    payload = '{"action": "echo"}'
    made = ["create", "sample", "0 3 * * *", payload, "--id", "other"]
    assert cli.invoke(args=["jobs", "schedules", *made]).exit_code == 0
    assert cli.invoke(args=["jobs", "schedules", "sync"]).exit_code == 0
    cli.invoke(args=["jobs", "sweep"])
    cli.invoke(args=["jobs", "reconcile"])
    cli.invoke(args=["jobs", "dlq", "delete", "nothing", "--yes"])
    cli.invoke(args=["jobs", "alerts", "silence", "1h"])

    db.session.rollback()
    found = [row.action for row in reversed(audit.entries(limit=20))]
    assert found == [
        *(f"schedule {one}" for one in ("pause", "resume", "run", "delete", "create", "sync")),
        *("sweep", "reconcile", "letter delete", "alerts silence"),
    ]
