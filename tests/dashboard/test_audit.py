"""Who did what by hand."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dashboard import Role, User
from app.dashboard.views.audit import asked_for
from app.jobs.kit import in_transaction
from app.jobs.operate import Filter, actions, audit
from tests.support.rows import AddJobs, add_row

from .pages import PREFIX, Reader, text_of

MARKUP = "<script>alert(1)</script>"


def test_it_shows_what_was_done_on_any_way(reader: Reader) -> None:
    job_id = add_row(status="completed", user_id=7)
    actions.delete(Filter(user_id=7), by="cron@host")

    page = reader.get("/audit")

    assert "cron@host delete 1 job user_id: 7" in text_of(page)
    assert f"/job/{job_id}" in page.text


def test_it_is_filtered_by_who_and_what(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(2, "completed")
    actions.delete(Filter(user_id=7), by="ada")
    actions.cancel(Filter(user_id=8), by="otto")

    assert "user_id: 8" not in text_of(reader.get("/audit?actor=ada"))
    assert "user_id: 7" not in text_of(reader.get("/audit?action=cancel"))
    assert "Nothing matches" in text_of(reader.get("/audit?actor=nobody"))


def test_a_page_leads_to_the_one_before(reader: Reader) -> None:
    for number in range(51):
        in_transaction(
            lambda tx, number=number: audit.record_action(  # type: ignore[misc]
                tx, actor="ada", action="retry", wanted={"user_id": number}
            )
        )

    first = reader.get("/audit")
    older = first.text.partition('rel="next" href="/admin/jobs')[2].partition('"')[0]

    assert "user_id: 50" in text_of(first)
    assert "user_id: 0" not in text_of(first)
    assert "user_id: 0" in text_of(reader.get(older))


def test_what_changed_nothing_is_not_there(reader: Reader) -> None:
    job_id = add_row(status="completed")

    reader.send("/cancel", {"job_id": job_id}, at=f"/job/{job_id}")

    assert "Nothing was changed" in text_of(reader.get(f"/job/{job_id}"))
    assert "Nobody did anything by hand yet" in text_of(reader.get("/audit"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"status": "failed", "dead": True}, "dead"),
        ({"status": "failed", "dead": False, "job_type": "sample"}, "retrying, job_type: sample"),
        ({"status": "failed"}, "status: failed"),
        ({"everything": True}, "all jobs"),
        ({"dead_letters": ["a"], "changed": 0}, 'dead_letters: ["a"], changed nothing'),
        (
            {"recorded_from": "2026-11-28T01:00:00+02:00", "recorded_to": "2026-11-29T12:00:00Z"},
            "recorded from 2026-11-27 23:00:00 UTC, recorded until 2026-11-29 12:00:00 UTC",
        ),
    ],
)
def test_which_jobs_were_meant_is_said_in_words(
    app: Flask, wanted: dict[str, object], said: str
) -> None:
    assert asked_for(wanted) == said


def test_an_entry_that_cannot_be_is_refused(reader: Reader) -> None:
    answer = reader.get("/audit?before=x")

    assert answer.status_code == 400
    assert "not an id of an entry" in text_of(answer)


def test_markup_is_shown_as_text(reader: Reader) -> None:
    add_row(status="completed", error=MARKUP)
    actions.delete(Filter(error=MARKUP), by=MARKUP)

    page = reader.get(f"/audit?actor={MARKUP}").text

    assert "alert(1)" in page
    assert MARKUP not in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
def test_somebody_of_an_organization_sees_none(app: Flask, client: FlaskClient, role: Role) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", role, organization_id=1)]

    assert client.get(f"{PREFIX}/audit").status_code == 403
