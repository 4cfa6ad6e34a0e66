"""What a job has to do with: other jobs, and what QStash knows of its messages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from qstash import QStash

from app.dashboard import Role, User
from app.dashboard.access import add_way
from app.jobs import PublishUnavailable, enqueue
from app.jobs.operate import message_log
from app.jobs.operate.message_log import Entry
from tests.support.rows import add_row, row_of
from tests.support.waiting import wait_until

from .pages import Reader, text_of

MARKUP = "<script>alert(1)</script>"


def test_related_jobs_are_listed_by_kind(reader: Reader) -> None:
    parent = add_row(job_type="the-parent")
    job_id = add_row(parent_id=parent, idempotency_key="k", schedule_id="nightly")
    child = add_row(parent_id=job_id, job_type="the-child")
    add_row(idempotency_key="k", job_type="the-namesake")
    add_row(schedule_id="nightly", job_type="the-firing")
    add_row(job_type="unrelated")

    shown = text_of(reader.get(f"/job/{job_id}"))

    order = ["Enqueued by", "the-parent", "It enqueued", "the-child", "Same idempotency key"]
    order += ["the-namesake", "Same schedule", "the-firing"]
    places = [shown.index(what, shown.index("Related jobs")) for what in order]
    assert places == sorted(places)
    assert "unrelated" not in shown
    assert child in reader.get(f"/jobs?parent={job_id}").text


def test_a_job_alone_has_no_such_part(reader: Reader) -> None:
    assert "Related jobs" not in reader.get(f"/job/{add_row()}").text


def test_those_of_an_organization_see_their_own_only(app: Flask, reader: Reader) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    add_way(app, lambda: User("ann", Role.OPERATOR, 7))
    job_id = add_row(organization_id=7)
    add_row(parent_id=job_id, organization_id=8, job_type="anothers")
    add_row(parent_id=job_id, organization_id=7, job_type="ours")

    shown = reader.get(f"/job/{job_id}").text

    assert "ours" in shown
    assert "anothers" not in shown


def test_the_newest_of_many_are_shown(reader: Reader) -> None:
    job_id = add_row()
    now = datetime.now(UTC)
    made = [
        add_row(parent_id=job_id, created_at=now - timedelta(minutes=number)) for number in range(7)
    ]

    shown = reader.get(f"/job/{job_id}").text

    assert [one in shown for one in made] == [True] * 5 + [False] * 2


def test_what_qstash_knows_has_deliveries_that_never_came(reader: Reader, qstash: QStash) -> None:
    """Nothing listens where QStash delivers to."""
    job_id = enqueue("sample", {"action": "none"}, retries=0)
    wait_until(
        lambda: any(one.state == "FAILED" for one in message_log.entries(row_of(job_id))),
        "QStash gives up",
    )

    shown = text_of(reader.get(f"/message/{job_id}"))

    assert "failed without an attempt of this job" in shown
    assert "created" in shown
    assert "failed no attempt" in shown
    assert str(row_of(job_id).message_id) in shown


def test_it_says_so_where_qstash_cannot_be_reached(reader: Reader) -> None:
    job_id = add_row(message_id="msg_1")

    answer = reader.get(f"/message/{job_id}")

    assert answer.status_code == 503
    assert "QStash does not say: QStash at http://127.0.0.1:9 cannot be reached" in text_of(answer)


def test_it_says_so_where_there_is_nothing_to_know(reader: Reader, qstash: QStash) -> None:
    assert "It has no message" in text_of(reader.get(f"/message/{add_row()}"))
    forgotten = text_of(reader.get(f"/message/{add_row(message_id='msg_old')}"))
    assert "QStash has no log of it" in forgotten
    assert "msg_old" in forgotten


def told(answer: Any, monkeypatch: pytest.MonkeyPatch, row: Any) -> list[Entry]:
    class Publisher:
        def call(self, _: Any) -> Any:
            return answer

    monkeypatch.setattr("app.jobs.operate.message_log.outbox.publisher", Publisher)
    return message_log.entries(row)


def test_a_failed_delivery_with_an_attempt_did_arrive(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    attempt = {
        "number": 1,
        "message_id": "msg_1",
        "started_at": began.isoformat(),
        "duration_ms": 2000,
        "outcome": "failed",
    }
    row = row_of(add_row(message_id="msg_1", attempts=[attempt]))
    times = [began + timedelta(seconds=2.2), began + timedelta(minutes=5)]
    events = [
        {
            "time": round(time.timestamp() * 1000),
            "messageId": "msg_1",
            "state": "ERROR",
            "responseStatus": 500,
        }
        for time in times
    ]

    assert [one.never_arrived for one in told({"events": events}, monkeypatch, row)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"events": [7]}, {"events": [{"messageId": "msg_1"}]}]
)
def test_a_log_of_another_form_is_said_so(
    app: Flask, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    row = row_of(add_row(message_id="msg_1"))

    with pytest.raises(PublishUnavailable, match="not of a form that is known"):
        told(answer, monkeypatch, row)


def test_markup_in_the_log_is_shown_as_text(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_row(message_id=MARKUP, job_type=MARKUP)
    entry = Entry(datetime.now(UTC), MARKUP, MARKUP, 502, MARKUP, None, never_arrived=True)
    monkeypatch.setattr(message_log, "entries", lambda _: [entry])

    page = reader.get(f"/message/{job_id}").text

    assert page.count("alert(1)") >= 4
    assert MARKUP not in page
