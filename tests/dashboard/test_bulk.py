"""Actions on many jobs at once."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import select

from app.dashboard import Role, User
from app.db import db
from app.jobs.operate import audit
from tests.support.rows import AddJobs, Rows, add_row, row_of

from .pages import PREFIX, Reader, text_of


def on_record() -> list[tuple[str, int]]:
    db.session.rollback()
    rows = db.session.scalars(select(audit.JobAudit).order_by(audit.JobAudit.id))
    return [(row.action, row.job_count) for row in rows]


def test_it_says_how_many_before_anything_changes(reader: Reader) -> None:
    ids = [add_row(status="cancelled") for _ in range(2)]
    done = add_row(status="completed")
    form = {"action": "retry", "which": "selected", "job_id": [*ids, done]}

    page = reader.send("/preview", form)

    assert "This changes 2 jobs of 3" in text_of(page)
    assert "2 cancelled" in text_of(page)
    assert [row_of(job_id).status for job_id in ids] == ["cancelled", "cancelled"]
    assert on_record() == []


def test_the_selected_jobs_are_retried_and_on_record(reader: Reader, qstash: QStash) -> None:
    ids = [add_row(status="cancelled") for _ in range(2)]
    other = add_row(status="cancelled")

    answer = reader.send("/act", {"action": "retry", "state": "cancelled", "job_id": ids})

    assert answer.location == f"{PREFIX}/jobs?state=cancelled"
    assert [row_of(job_id).status for job_id in ids] == ["pending", "pending"]
    assert row_of(other).status == "cancelled"
    assert on_record() == [("retry", 2)]
    assert "2 jobs retried." in text_of(reader.get("/jobs"))


def test_where_nothing_can_be_changed_it_says_so(reader: Reader) -> None:
    form = {"action": "retry", "job_id": [add_row(status="completed")]}

    reader.send("/act", form)
    said = reader.get("/jobs").text

    assert "Nothing was changed: none of these jobs can be retried as it is now." in said
    assert 'class="notice problem" role="status"' in said


def test_all_that_match_are_deleted_however_many_a_page_shows(
    reader: Reader, add_jobs: AddJobs
) -> None:
    add_jobs(70, "completed", user_id="7")
    other = add_row(status="completed", user_id=8)

    shown = reader.send("/preview", {"action": "delete", "which": "matching", "user": "7"})
    answer = reader.send("/act", {"action": "delete", "user": "7"})

    assert "This changes 70 jobs" in text_of(shown)
    assert answer.location == f"{PREFIX}/jobs?user=7"
    assert on_record() == [("delete", 70)]
    assert row_of(other).status == "completed"


def test_a_selection_that_was_ticked_is_left_aside_by_all_that_match(reader: Reader) -> None:
    ticked = add_row(status="cancelled", user_id=7)
    add_row(status="cancelled", user_id=7)
    form = {"action": "retry", "which": "matching", "user": "7", "job_id": [ticked]}

    assert "This changes 2 jobs" in text_of(reader.send("/preview", form))


def test_many_jobs_need_their_number_typed(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(101, "completed")
    form = {"action": "delete", "state": "completed"}

    assert "Type the number of jobs" in text_of(reader.send("/preview", form))
    reader.send("/act", form)
    assert on_record() == []
    assert "Nothing was changed: these are 101 jobs" in text_of(reader.get("/jobs"))
    add_jobs(1, "completed")
    reader.send("/act", {**form, "typed": "102"})
    assert on_record() == [("delete", 102)]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"action": "explode"}, "There is no action 'explode'."),
        ({}, "There is no action ''."),
        ({"action": "retry", "which": "selected"}, "No job is selected"),
        ({"action": "retry", "newer": "soon"}, "is not a duration"),
    ],
)
def test_a_form_that_cannot_be_is_explained(
    reader: Reader, form: dict[str, Any], said: str
) -> None:
    add_row(status="cancelled")

    for path in ("/preview", "/act"):
        answer = reader.send(path, form)
        assert answer.status_code == 400
        assert said in text_of(answer)
    assert on_record() == []


def test_an_operator_deletes_nothing(app: Flask, client: FlaskClient, rows: Rows) -> None:
    job_id = add_row(status="completed")
    app.extensions["jobs.dashboard.ways"] = [lambda: User("otto", Role.OPERATOR)]
    reader = Reader(client)

    assert 'value="delete"' not in reader.get("/jobs").text
    for path in ("/preview", "/act"):
        answer = reader.send(path, {"action": "delete", "job_id": [job_id]})
        assert answer.status_code == 403
    assert job_id in rows


def test_somebody_of_an_organization_changes_its_jobs_only(
    app: Flask, client: FlaskClient, rows: Rows
) -> None:
    own = add_row(status="completed", organization_id=1)
    other = add_row(status="completed", organization_id=2)
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]
    reader = Reader(client)

    reader.send("/act", {"action": "delete", "job_id": [other]})
    reader.send("/act", {"action": "delete"})

    assert own not in rows
    assert other in rows
