"""Dead letters, usage and the doctor."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash

from app.dashboard import Role, User
from app.db import db
from app.jobs import enqueue
from app.jobs.operate import audit
from tests.support.rows import AddJobs, Rows
from tests.support.waiting import wait_until

from .pages import PREFIX, Reader, text_of


@pytest.fixture
def dead(live_qstash: QStash) -> str:
    """The id of a job that QStash gave up."""
    job_id = enqueue("sample", {"action": "permanent"}, retries=0)
    wait_until(lambda: live_qstash.dlq.list().messages, "a dead letter")
    return job_id


def letter_on(qstash: QStash) -> str:
    return qstash.dlq.list().messages[0].dlq_id


def noted() -> list[str]:
    db.session.rollback()
    return [row.action for row in audit.entries(limit=9)]


def test_a_dead_letter_is_shown_and_delivered_again(
    reader: Reader, live_qstash: QStash, dead: str, rows: Rows
) -> None:
    page = reader.get("/dead-letters")
    form = {"dlq_id": [letter_on(live_qstash)]}

    reader.send("/dead-letters/redrive", form, at="/dead-letters")

    assert f"/job/{dead}" in page.text
    assert "answered 489" in text_of(page)
    wait_until(lambda: len(rows[dead].attempts) == 2, "the second delivery")
    assert noted() == ["letter redrive"]


def test_a_dead_letter_is_deleted(reader: Reader, live_qstash: QStash, dead: str) -> None:
    form = {"dlq_id": [letter_on(live_qstash), "1-0"]}

    reader.send("/dead-letters/delete", form, at="/dead-letters")

    assert live_qstash.dlq.list().messages == []
    assert noted() == ["letter delete"]
    said = text_of(reader.get("/dead-letters"))
    assert "1 dead letter deleted." in said
    assert "QStash gave up no message of this app." in said


def test_none_selected_changes_nothing(reader: Reader, dead: str) -> None:
    answer = reader.send("/dead-letters/delete", {}, at="/dead-letters")

    assert answer.status_code == 400
    assert "No dead letter is selected" in text_of(answer)
    assert noted() == []


def test_without_qstash_it_is_said_so(reader: Reader) -> None:
    answer = reader.get("/dead-letters")

    assert answer.status_code == 503
    assert "QStash" in text_of(answer)


def test_usage_is_counted_by_type_and_organization(
    app: Flask, reader: Reader, add_jobs: AddJobs
) -> None:
    app.config.update(JOBS_PLAN_MESSAGES_PER_DAY=1000, JOBS_PLAN_PRICE=1.0)
    add_jobs(3, "completed", published_at="now()", message_id="'m'", organization_id="42")

    page = reader.get("/usage?period=day")

    assert "3 of 1,000" in text_of(page)
    assert "sample 3 3 0 0 3" in text_of(page)
    assert "42 3 3 0 0 3" in text_of(page)


def test_the_doctor_examines_when_asked(reader: Reader) -> None:
    page = text_of(reader.get("/doctor"))
    answer = reader.send("/examine", {}, at="/doctor")

    assert "What the checks found" not in page
    assert answer.status_code == 200
    assert "fail" in text_of(answer)
    assert "Fix:" in text_of(answer)
    assert "<code>flask " in answer.text
    assert "`" not in text_of(answer)


@pytest.mark.parametrize(
    ("role", "path", "form"),
    [
        (Role.VIEWER, "/dead-letters/redrive", {"dlq_id": ["x"]}),
        (Role.OPERATOR, "/dead-letters/delete", {"dlq_id": ["x"]}),
        (Role.VIEWER, "/examine", {}),
    ],
)
def test_a_role_that_is_too_small_is_refused(
    app: Flask, client: FlaskClient, role: Role, path: str, form: dict[str, Any]
) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("vera", role)]

    assert client.post(PREFIX + path, data=form).status_code == 403
    assert noted() == []


@pytest.mark.parametrize("path", ["/dead-letters", "/usage", "/doctor"])
def test_somebody_of_an_organization_sees_none(app: Flask, client: FlaskClient, path: str) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]

    assert client.get(PREFIX + path).status_code == 403
