"""The page of one job, and what is done to it there."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from qstash import QStash
from sqlalchemy import text

from app.dashboard.timeline import Span, bars_of
from app.db import db
from app.jobs.operate import audit
from tests.support.rows import Rows, add_row, row_of

from .pages import PREFIX, Reader, text_of

MARKUP = "<script>alert(1)</script>"


def failed(**values: Any) -> str:
    """Make a job that is dead after two attempts."""
    now = datetime.now(UTC)
    attempts = [
        {
            "number": number,
            "started_at": now.isoformat(),
            "duration_ms": 1500,
            "outcome": "failed",
            "kind": "ValueError",
            "error": "ValueError: bad row",
            "traceback": "Traceback (most recent call last):\n  in the handler",
        }
        for number in (1, 2)
    ]
    given = {"status": "failed", "dead_at": now, "completed_at": now, "attempts": attempts}
    return add_row(**{**given, "error": "ValueError: bad row", **values})


def actions_on(job_id: str) -> list[tuple[str, str, int]]:
    db.session.rollback()
    return [(one.actor, one.action, one.job_count) for one in audit.entries_of(job_id)]


def test_it_tells_the_way_of_a_job(reader: Reader) -> None:
    shown = text_of(reader.get(f"/job/{failed()}"))

    assert "dead sample" in shown
    assert "Attempt 2: failed after 1.5 s" in shown
    assert "ValueError: bad row" in shown
    assert "Traceback (most recent call last): in the handler" in shown


def test_attempts_are_counted_against_those_it_has_until_somebody_retries_it(
    reader: Reader,
) -> None:
    first = text_of(reader.get(f"/job/{failed(max_retries=1)}"))
    again = text_of(reader.get(f"/job/{failed(max_retries=0, generation=1)}"))

    assert "Attempts 2 of 2" in first
    assert "Attempts 2 Put back by hand 1 time" in again


def test_the_timeline_is_a_picture_with_words(reader: Reader) -> None:
    page = reader.get(f"/job/{failed()}").text

    assert '<svg class="timeline"' in page
    assert "<title>attempt 1: failed after 1.5 s</title>" in page


def test_what_is_secret_in_a_payload_is_masked(reader: Reader) -> None:
    job_id = add_row(payload={"payload": {"to": "ada@example.com", "password": "hunter2"}})

    page = reader.get(f"/job/{job_id}").text

    assert "ada@example.com" in page
    assert "hunter2" not in page
    assert "(hidden)" in page


def test_a_payload_cannot_turn_around_how_it_reads(reader: Reader) -> None:
    job_id = add_row(payload={"payload": {"to": "\u202ebob \u05d0", "\u2066file": "é"}})

    page = reader.get(f"/job/{job_id}").text

    assert "\\u202ebob \u05d0" in page
    assert "\\u2066file" in page
    assert "é" in page
    assert not {"\u202e", "\u2066"} & set(page)


def test_a_number_of_a_payload_is_as_long_as_it_was_written(reader: Reader) -> None:
    numbers = {"id": 10**30 + 1, "huge": 1e300, "some": [-1.5e-300, 2.5e21], "whole": 10**20}
    job_id = add_row(payload={"payload": numbers}, result=numbers)

    shown = text_of(reader.get(f"/job/{job_id}"))

    written = (
        '"id": 1000000000000000000000000000001, "huge": 1e+300,'
        ' "some": [ -1.5e-300, 2.5e+21 ], "whole": 100000000000000000000'
    )
    assert shown.count(written) == 2


def test_progress_is_shown_while_it_runs(reader: Reader) -> None:
    progress = {"done": 620, "total": 1000, "note": "rows"}
    job_id = add_row(status="processing", progress=progress, started_at=datetime.now(UTC))

    page = reader.get(f"/job/{job_id}")

    assert '<progress value="62"' in page.text
    assert "620/1,000 · 62 % · rows" in text_of(page)


@pytest.mark.parametrize(
    ("values", "possible"),
    [
        ({"status": "pending"}, {"cancel"}),
        ({"status": "processing"}, {"cancel"}),
        ({"status": "processing", "cancelled_at": datetime.now(UTC)}, set()),
        ({"status": "failed"}, {"retry", "cancel"}),
        ({"status": "failed", "dead_at": datetime.now(UTC)}, {"retry", "delete"}),
        ({"status": "completed"}, {"delete"}),
        ({"status": "cancelled"}, {"retry", "delete"}),
        ({"status": "cancelled", "job_type": "no-longer-known"}, {"delete"}),
    ],
)
def test_it_offers_what_the_state_allows(
    reader: Reader, values: dict[str, Any], possible: set[str]
) -> None:
    page = reader.get(f"/job/{add_row(**values)}").text

    assert {
        name for name in ("retry", "cancel", "delete") if f'action="/admin/jobs/{name}"' in page
    } == possible


def test_a_retry_puts_the_job_back_and_is_on_record(reader: Reader, qstash: QStash) -> None:
    job_id = failed()

    answer = reader.send("/retry", {"job_id": job_id}, at=f"/job/{job_id}")
    said = text_of(reader.get(f"/job/{job_id}"))

    assert answer.status_code == 302
    assert answer.location.endswith(f"/job/{job_id}")
    assert row_of(job_id).status == "pending"
    assert row_of(job_id).generation == 1
    assert "is pending again, with all its retries" in said
    assert [(action, count) for _, action, count in actions_on(job_id)] == [("retry", 1)]
    assert "is pending again" not in text_of(reader.get(f"/job/{job_id}"))


def test_a_cancelled_job_is_cancelled_and_on_record(reader: Reader, qstash: QStash) -> None:
    job_id = add_row(status="pending")

    reader.send("/cancel", {"job_id": job_id}, at=f"/job/{job_id}")

    assert row_of(job_id).status == "cancelled"
    assert [(action, count) for _, action, count in actions_on(job_id)] == [("cancel", 1)]
    assert "is cancelled" in text_of(reader.get(f"/job/{job_id}"))


def test_a_deleted_job_is_gone_and_on_record(reader: Reader, rows: Rows) -> None:
    job_id = failed()

    answer = reader.send("/delete", {"job_id": job_id}, at=f"/job/{job_id}")

    assert answer.location.endswith("/admin/jobs/jobs")
    assert job_id not in rows
    assert [(action, count) for _, action, count in actions_on(job_id)] == [("delete", 1)]
    assert f"Job {job_id} (sample) is deleted." in text_of(reader.get("/jobs"))
    assert reader.get(f"/job/{job_id}").status_code == 404


def test_what_came_too_late_changes_nothing_and_says_so(reader: Reader, rows: Rows) -> None:
    job_id = failed()
    form = {"job_id": job_id, "csrf": reader.token(f"/job/{job_id}")}
    rows.set(job_id, status="completed", dead_at=None)

    reader.client.post("/admin/jobs/retry", data=form)

    said = text_of(reader.get(f"/job/{job_id}"))
    assert "Nothing was changed: a job that is completed cannot be retried." in said
    assert row_of(job_id).status == "completed"


def test_a_job_that_there_is_not_is_said_so(reader: Reader) -> None:
    answer = reader.get(f"/job/{MARKUP}")

    assert answer.status_code == 404
    assert "No such job" in text_of(answer)


def test_times_are_in_the_zone_of_the_setting(app: Flask, reader: Reader) -> None:
    app.config["JOBS_DASHBOARD_TIMEZONE"] = "Asia/Kolkata"
    at = datetime(2026, 1, 2, 20, 30, 15, 250_000, tzinfo=UTC)
    line = {"at": at.isoformat(), "level": "INFO", "logger": "app", "message": "begun"}
    attempt = {"number": 1, "outcome": "failed", "started_at": at.isoformat()}
    logs = [{"attempt": 1, "left_out": 0, "lines": [line]}]
    job_id = failed(attempts=[attempt], logs=logs)

    page = reader.get(f"/job/{job_id}").text

    assert 'title="2026-01-03 02:00:15 IST">02:00:15.250</time> <b class="info">' in page


def test_markup_in_a_job_is_shown_as_text(reader: Reader) -> None:
    attempt = {
        "number": 1,
        "started_at": datetime.now(UTC).isoformat(),
        "outcome": MARKUP,
        "error": MARKUP,
        "traceback": MARKUP,
        "message_id": MARKUP,
    }
    job_id = failed(
        job_type=MARKUP,
        error=MARKUP,
        payload={"payload": {MARKUP: MARKUP}},
        result={MARKUP: MARKUP},
        attempts=[attempt],
        progress={"done": 1, "total": None, "note": MARKUP},
        message_id=MARKUP,
        schedule_id=MARKUP,
        queue=MARKUP,
        idempotency_key=MARKUP,
    )

    page = reader.get(f"/job/{job_id}").text

    assert page.count("alert(1)") >= 12
    assert MARKUP not in page


def test_a_page_loads_itself_again_whatever_is_in_its_address(reader: Reader) -> None:
    """An id that QStash's other producers chose, in an app that is mounted below another path."""
    job_id = add_row(job_id="a?b#c%41 d", status="pending")

    address = f"/job/{quote(job_id)}"
    page = reader.client.get(f"{PREFIX}{address}?x=%20", base_url="http://localhost/mounted").text

    assert f'hx-get="/mounted{PREFIX}{address}?x=%20"' in page


def logging_job() -> str:
    line = {"at": "2026-11-28T09:13:07.412+00:00", "level": "WARNING", "logger": "a.b"}
    logs = [{"attempt": 2, "left_out": 3, "lines": [{**line, "message": f"slow {MARKUP}"}]}]
    return failed(logs=logs)


def test_what_an_attempt_logged_is_shown_with_it(reader: Reader) -> None:
    page = reader.get(f"/job/{logging_job()}")

    assert "Log 1 line, without 3 before 09:13:07.412 WARNING a.b: slow <script>" in text_of(page)
    assert MARKUP not in page.text


def test_until_a_retry_by_hand_it_did_not_wait(reader: Reader) -> None:
    hour = timedelta(hours=1)
    began = datetime.now(UTC) - 10 * hour
    attempt = {"number": 1, "started_at": began.isoformat(), "duration_ms": 1000, "outcome": "dead"}
    job_id = add_row(created_at=began - hour, generation=1, attempts=[attempt], status="pending")
    with db.engine.begin() as connection:
        entry = audit.record_action(connection, actor="ada", action="retry", wanted={})
        audit.add_jobs(connection, entry, [job_id])
        when = {"at": datetime.now(UTC) - hour}
        connection.execute(text("UPDATE job_audit SET created_at = :at"), when)

    page = reader.get(f"/job/{job_id}").text
    picture = re.search(r'class="timeline".*?aria-label="([^"]*)"', page)

    assert picture
    assert (
        picture[1] == "waited 1 h, attempt 1: dead after 1.0 s, had ended, for 8 h 59 m, waited 1 h"
    )


def test_a_wait_that_is_too_short_to_be_seen_hides_no_run() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    second, moment = timedelta(seconds=1), timedelta(milliseconds=1)
    ran = at + 2 * second
    spans = [
        Span(at, at + second, "waited 1 s", "wait"),
        Span(at + second, ran, "attempt 1: completed", "completed"),
        Span(ran, ran + moment, "waited 1 ms", "wait"),
    ]

    assert [bar.span.kind for bar in bars_of(spans)] == ["wait", "completed"]
