"""The list of jobs."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import uuid4

import pytest
from flask import Flask

from tests.support.rows import AddJobs, add_row

from .pages import Reader, text_of

MARKUP = "<script>alert(1)</script>"


def test_what_no_index_has_together_is_looked_for_piece_by_piece(
    reader: Reader, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.views.jobs.PATIENCE", 0.0)
    monkeypatch.setattr("app.dashboard.views.jobs.NEAR", 2)
    monkeypatch.setattr("app.jobs.table.filters.SEARCHED", 3)
    wanted = add_row(job_type="rare", status="failed", dead_at=datetime.now(UTC))
    add_jobs(7, "failed", dead_at="now()")

    address, pages = "/jobs?type=rare&state=dead", []
    while wanted not in (page := reader.get(address)).text:
        pages.append(text_of(page))
        [address] = re.findall(r'rel="next" href="/admin/jobs([^"]+)"', page.text)
        address = unescape(address)

    assert len(pages) == 2
    assert all("No jobs match this filter None since" in said for said in pages)
    assert "Dead 0+" in pages[0]
    assert "All 1 " in pages[0]
    assert "Search on" not in reader.get("/jobs?type=rare").text


def test_it_shows_jobs_newest_first(reader: Reader) -> None:
    old = add_row(job_type="first")
    new = add_row(job_type="second")

    shown = reader.get("/jobs").text

    assert shown.index(new) < shown.index(old)


def test_jobs_of_one_millisecond_are_told_apart(reader: Reader) -> None:
    begins = "01a22669-4d71-7a7b"
    for rest in ("9f3c-4b4a6a4d0e2d", "b1c2-4b4a6a4d0e2d"):
        add_row(job_id=f"{begins}-{rest}")

    shown = text_of(reader.get("/jobs"))

    assert f"{begins}-9f3c…" in shown
    assert f"{begins}-b1c2…" in shown


def test_each_state_has_a_tab_with_its_count(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(2, "completed")
    add_jobs(3, "failed", dead_at="now()")
    add_jobs(1, "failed")

    shown = text_of(reader.get("/jobs"))

    assert "All 6 Pending 0 Processing 0 Retrying 1 Dead 3 Completed 2 Cancelled 0" in shown


@pytest.mark.parametrize("state", ["retrying", "dead"])
def test_a_tab_shows_its_state_only(reader: Reader, state: str) -> None:
    ids = {
        "retrying": add_row(status="failed"),
        "dead": add_row(status="failed", dead_at=datetime.now(UTC)),
    }

    shown = reader.get(f"/jobs?state={state}").text

    assert [name for name, job_id in ids.items() if job_id in shown] == [state]


@pytest.mark.parametrize(
    "asked",
    [
        "type=wanted",
        "error=TIMED",
        "user=7",
        "organization=42",
        "message=msg_1",
        "schedule=s_1",
        "tag=a",
        "queue=mail",
        "key=order-1",
        "payload=customer.id%3D7",
        "from=2026-01-02&to=2026-01-03",
        "to=2026-01-02T14:00%2B01:00",
    ],
)
def test_each_filter_finds_its_jobs_and_counts_them(reader: Reader, asked: str) -> None:
    wanted = add_row(
        job_type="wanted",
        status="failed",
        error="it timed out",
        user_id=7,
        organization_id=42,
        message_id="msg_1",
        schedule_id="s_1",
        tags=["a", "b"],
        queue="mail",
        idempotency_key="order-1",
        payload={"payload": {"customer": {"id": 7}}},
        created_at=datetime(2026, 1, 2, 12, tzinfo=UTC),
    )
    other = add_row(job_type="other")

    page = reader.get(f"/jobs?{asked}")

    assert wanted in page.text
    assert other not in page.text
    assert "All 1 " in text_of(page)
    assert "Retrying 1" in text_of(page)


def test_jobs_are_found_by_their_age(reader: Reader) -> None:
    old = add_row(created_at=datetime.now(UTC) - timedelta(hours=3))
    new = add_row()

    assert old not in reader.get("/jobs?newer=2h").text
    assert new not in reader.get("/jobs?older=2h").text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("newer=soon", "Newer than: 'soon' is not a duration"),
        ("user=seven", "User: 'seven' is not a valid integer"),
        ("state=gone", "State: 'gone' is none of pending, processing"),
        (f"error={'x' * 600}", "is longer than 500 characters"),
        ("type=a%00b", "has a character that no text in the database can have"),
    ],
)
def test_a_filter_that_cannot_be_is_explained(reader: Reader, asked: str, said: str) -> None:
    answer = reader.get(f"/jobs?{asked}")

    assert answer.status_code == 400
    assert said in text_of(answer)


def test_a_page_leads_to_the_next_with_the_same_filter(reader: Reader, add_jobs: AddJobs) -> None:
    add_jobs(60, "completed", user_id="7")
    first = reader.get("/jobs?state=completed&user=7")

    following = first.text.partition('rel="next" href="/admin/jobs')[2].partition('"')[0]
    second = reader.get(following.replace("&amp;", "&"))

    assert first.text.count('<tr id="job-') == 50
    assert second.text.count('<tr id="job-') == 10
    assert "state=completed" in following
    assert "user=7" in following


def test_a_cursor_that_no_page_gave_is_refused(reader: Reader) -> None:
    answer = reader.get("/jobs?after=nonsense")

    assert answer.status_code == 400
    assert "'nonsense' is not a cursor" in text_of(answer)


def test_a_job_is_found_by_the_first_characters_of_its_id(reader: Reader) -> None:
    job_id = add_row()

    found = reader.get(f"/find?id={job_id[:8]}")

    assert found.status_code == 302
    assert found.location == f"/admin/jobs/job/{job_id}"


def test_an_id_that_several_jobs_begin_with_shows_them(reader: Reader) -> None:
    ids = [f"0123{str(uuid4())[4:]}" for _ in range(2)]
    for job_id in ids:
        add_row(job_id=job_id)

    page = reader.get("/find?id=0123")

    assert page.status_code == 200
    assert all(job_id in page.text for job_id in ids)


def test_an_id_that_no_job_has_is_said_so(reader: Reader) -> None:
    answer = reader.get(f"/find?id={MARKUP}")

    assert answer.status_code == 404
    assert MARKUP not in answer.text
    assert "id begins with" in text_of(answer)


def test_an_empty_list_says_how_to_begin(reader: Reader) -> None:
    assert "No jobs yet" in text_of(reader.get("/jobs"))


def test_markup_in_a_job_is_shown_as_text(reader: Reader) -> None:
    add_row(job_type=MARKUP, status="failed", error=f"{MARKUP} again")

    for path in ("/jobs", "/jobs?error=again", f"/jobs?type={MARKUP}"):
        page = reader.get(path).text
        assert "alert(1)" in page
        assert MARKUP not in page


def test_without_the_database_it_says_so(reader: Reader, no_database: None) -> None:
    answer = reader.get("/jobs")

    assert answer.status_code == 503
    assert "the database cannot be reached" in text_of(answer)


def test_a_long_list_is_counted_to_its_cap(reader: Reader, app: Flask) -> None:
    from app.db import db  # noqa: PLC0415 - only here

    db.session.execute(
        db.text(
            "INSERT INTO job_executions (job_id, job_type, payload, status) "
            "SELECT 'j' || n, 'sample', '{}', 'completed' FROM generate_series(1, 10001) AS n"
        )
    )
    db.session.commit()

    assert "Completed 10,000+" in text_of(reader.get("/jobs"))
