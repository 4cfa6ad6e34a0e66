"""QStash says that it has given up: the job is dead, and a person can see why."""

import json
import socket
from base64 import b64decode
from contextlib import ExitStack
from dataclasses import fields
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from qstash.dlq import DlqMessage
from sqlalchemy import text

from app.db import db
from app.jobs import Status, enqueue
from app.jobs.execute.delivery import firing_id
from app.jobs.message import Message
from app.jobs.publish import outbox
from app.jobs.recover.given_up import from_queue
from app.jobs.recover.sweep import sweep, take_over
from tests.support.failure_callback import PATH, call_back, encoded, report
from tests.support.qstash import BASE_URL, claims_for, deliver, envelope, token
from tests.support.rows import Rows
from tests.support.waiting import wait_until


def recorded(rows: Rows, **values: Any) -> str:
    """Return a job that was published as msg_1."""
    job_id = enqueue("sample", {"action": "none"})
    published = {"message_id": "msg_1", "published_at": text("now()")}
    rows.set(job_id, **{**published, **values})
    return job_id


def test_only_qstash_may_call_it(client: FlaskClient, rows: Rows) -> None:
    job_id = recorded(rows)

    forged = client.post(PATH, json=report(envelope({"action": "x"}, jobId=job_id)))

    assert forged.status_code == 401
    assert rows[job_id].status == Status.PENDING


def test_where_to_forward_is_signed_too(client: FlaskClient, rows: Rows) -> None:
    body = json.dumps(report(envelope({"action": "x"}))).encode()
    good = token(claims_for(body, BASE_URL + PATH))

    elsewhere = f"{PATH}?forward=https://evil.example"
    assert deliver(client, body, elsewhere, signature=good).status_code == 401


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_job_that_was_waiting_is_dead_and_says_what_qstash_saw(
    client: FlaskClient, rows: Rows, status: str
) -> None:
    job_id = recorded(rows, status=status)

    answer = call_back(client, report(envelope({"action": "x"}, jobId=job_id)))

    assert answer.json == {"success": True, "jobId": job_id, "changed": True}
    row = rows[job_id]
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert row.error == (
        "QStash gave up after 4 attempts: the last was answered 503: upstream is away"
    )


def test_nobody_answering_is_said(client: FlaskClient, rows: Rows) -> None:
    job_id = recorded(rows)

    call_back(client, report(envelope({"action": "x"}, jobId=job_id), status=0, body=""))

    assert rows[job_id].error == "QStash gave up after 4 attempts: the last got no answer"


@pytest.mark.parametrize(
    "state",
    [
        {"status": "completed"},
        {"status": "cancelled"},
        {"status": "failed", "dead_at": text("now()"), "error": "ValueError: no"},
    ],
)
def test_a_final_job_stays_as_it_is(client: FlaskClient, rows: Rows, state: Any) -> None:
    job_id = recorded(rows, **state)
    before = (rows[job_id].status, rows[job_id].error)

    answer = call_back(client, report(envelope({"action": "x"}, jobId=job_id)))

    assert answer.json == {"success": True, "jobId": job_id, "changed": False}
    assert (rows[job_id].status, rows[job_id].error) == before


def test_the_end_of_an_older_message_says_nothing_of_a_newer(
    client: FlaskClient, rows: Rows
) -> None:
    job_id = recorded(rows, generation=1, message_id="msg_2")

    call_back(client, report(envelope({"action": "x"}, jobId=job_id), "msg_1"))

    assert rows[job_id].status == Status.PENDING


def test_a_running_handler_may_end_first(client: FlaskClient, rows: Rows) -> None:
    lease = {"lease_token": str(uuid4()), "lease_expires_at": text("now() + interval '30 s'")}
    job_id = recorded(rows, status="processing", **lease)

    answer = call_back(client, report(envelope({"action": "x"}, jobId=job_id)))

    assert answer.status_code == 503
    assert 28 <= int(answer.headers["Retry-After"]) <= 31
    assert rows[job_id].status == Status.PROCESSING


def test_a_job_whose_process_died_keeps_the_lost_attempt(client: FlaskClient, rows: Rows) -> None:
    lease = {"lease_token": str(uuid4()), "lease_expires_at": text("now() - interval '1 s'")}
    job_id = recorded(rows, status="processing", retry_count=3, **lease)

    call_back(client, report(envelope({"action": "x"}, jobId=job_id)))

    row = rows[job_id]
    assert (row.status, row.lease_token) == (Status.FAILED, None)
    assert [attempt["outcome"] for attempt in row.attempts] == ["lost"]


def test_a_job_never_seen_here_gets_a_row(client: FlaskClient, rows: Rows) -> None:
    job = envelope({"action": "x"})

    call_back(client, report(job, "msg_foreign"))

    row = rows[job["jobId"]]
    assert (row.status, row.dead_at is not None, row.user_id) == (Status.FAILED, True, 7)
    assert (row.job_type, row.payload, row.message_id) == ("sample", job, "msg_foreign")


def test_a_firing_of_a_schedule_has_its_own_row(client: FlaskClient, rows: Rows) -> None:
    fired = {"type": "sample", "payload": {"action": "x"}, "metadata": {}}

    call_back(client, report(fired, "msg_9", scheduleId="scd_1"))

    row = rows[firing_id("msg_9")]
    assert (row.schedule_id, row.status) == ("scd_1", Status.FAILED)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON in UTF-8"),
        (b"[]", "not a JSON object"),
        ({}, "names no message"),
        (report({}, message_id=7), "names no message"),  # type: ignore[arg-type]
        (report({}, sourceBody="%%%"), "sourceBody is not base64"),
        (report({}, sourceBody=["x"]), "sourceBody is not base64"),
        (report({}, sourceBody="eyI="), "sourceBody is not JSON"),
        (report(envelope({"action": "x"}), body=5), "body is not base64"),
        (report(b"[1]"), "not a JSON object"),
        (report({"type": "sample"}), "envelope is broken"),
        (report({"type": "sample", "payload": {}}), "envelope is broken"),
        (report(envelope({}, job_type="x" * 101)), "envelope is broken"),
        (report(envelope({}, metadata={"userId": 2**63})), "envelope is broken"),
        (report(b'{"type": "s", "payload": {"a": "\\u0000"}}'), "NUL"),
    ],
)
def test_an_odd_body_is_refused_for_good(client: FlaskClient, body: Any, said: str) -> None:
    answer = call_back(client, body)

    assert answer.status_code == 489
    assert answer.headers["Upstash-NonRetryable-Error"] == "true"
    assert said in answer.json["error"]  # type: ignore[index]


def test_what_is_odd_but_readable_is_taken(client: FlaskClient, rows: Rows) -> None:
    job = envelope({"action": "x"})
    odd: dict[str, Any] = {
        "status": "503",
        "retried": "3",
        "scheduleId": None,
        "body": encoded(b"\x00\xff"),
    }

    assert call_back(client, report(job, **odd)).status_code == 200
    assert rows[job["jobId"]].error == "QStash gave up: the last got no answer"


def test_no_database_is_answered_503(client: FlaskClient, no_database: None) -> None:
    assert call_back(client, report(envelope({"action": "x"}))).status_code == 503


def test_the_callers_own_failure_callback_is_forwarded_once(
    client: FlaskClient, rows: Rows, qstash: QStash
) -> None:
    body = report(envelope({"action": "x"}))
    query = "?forward=https%3A%2F%2Fapp.example.com%2Ffailed%3Fa%3Db"

    for _ in range(2):
        assert call_back(client, body, query).status_code == 200

    created = qstash.http.request(path="/v2/events?state=CREATED", method="GET")["events"]
    assert [event["url"] for event in created] == ["https://app.example.com/failed?a=b"]
    assert json.loads(b64decode(created[0]["body"])) == body


def test_qstash_away_while_forwarding_has_the_callback_come_again(
    client: FlaskClient, rows: Rows
) -> None:
    answer = call_back(client, report(envelope({"action": "x"})), "?forward=https://a.example")

    assert answer.status_code == 503


def test_a_job_that_qstash_gives_up_is_dead(
    live_qstash: QStash, rows: Rows, client: FlaskClient
) -> None:
    """Through the real server: an address that answers 405, and no retries."""
    job = envelope({"action": "x"})
    deliver(client, {**job, "payload": {"action": "fail"}})
    rows.set(job["jobId"], message_id=None)  # the callback may come before the id is noted
    message = Message(
        job_id=job["jobId"],
        job_type="sample",
        endpoint="/api/jobs/nowhere",
        body=json.dumps(job),
        options={"retries": 0},
    )
    outbox.publisher().publish(message)

    wait_until(lambda: rows[job["jobId"]].dead_at, "the failure callback")
    assert "the last was answered 405" in (rows[job["jobId"]].error or "")


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_fault_A4_nothing_is_forwarded_for_a_job_that_did_not_fail(
    client: FlaskClient, rows: Rows, qstash: QStash, status: str
) -> None:
    job_id = recorded(rows, status=status)
    query = "?forward=https%3A%2F%2Fapp.example.com%2Ffailed"

    assert call_back(client, report(envelope({}, jobId=job_id)), query).status_code == 200

    assert created(qstash, "/failed") == []


def test_fault_A4_a_job_that_was_dead_before_is_forwarded(
    client: FlaskClient, rows: Rows, qstash: QStash
) -> None:
    """The process died between marking it and telling."""
    job_id = recorded(rows, status="failed", dead_at=text("now()"))
    query = "?forward=https%3A%2F%2Fapp.example.com%2Ffailed"

    assert call_back(client, report(envelope({}, jobId=job_id)), query).status_code == 200

    assert len(created(qstash, "/failed")) == 1


def test_fault_A4_a_job_that_was_called_off_is_no_failure(
    client: FlaskClient, rows: Rows, qstash: QStash
) -> None:
    expired = {"lease_token": str(uuid4()), "lease_expires_at": text("now() - interval '1 s'")}
    job_id = recorded(rows, status="processing", cancelled_at=text("now()"), **expired)
    query = "?forward=https%3A%2F%2Fapp.example.com%2Ffailed"

    assert call_back(client, report(envelope({}, jobId=job_id)), query).status_code == 200

    assert rows[job_id].status == Status.CANCELLED
    assert created(qstash, "/failed") == []


def events(qstash: QStash, state: str, path: str) -> list[Any]:
    logged = qstash.http.request(path=f"/v2/events?state={state}", method="GET")["events"]
    return [event for event in logged if event["url"].endswith(path)]


def created(qstash: QStash, path: str) -> list[Any]:
    return events(qstash, "CREATED", path)


def test_fault_A13_a_letter_does_not_say_how_often_it_was_tried(
    live_qstash: QStash, rows: Rows, cli: FlaskCliRunner
) -> None:
    """One attempt, answered that no retry can help; the message would have had three."""
    job_id = enqueue("sample", {"action": "permanent"}, retries=3)
    wait_until(lambda: events(live_qstash, "DELIVERED", PATH), "the failure callback")

    letter = json.loads(cli.invoke(args=["jobs", "dlq", "list", "--json"]).stdout)[0]
    assert letter["job_id"] == job_id
    assert letter["error"].startswith("QStash gave up: the last was answered 489")
    db.session.execute(text("DELETE FROM job_executions"))
    db.session.commit()
    assert sweep().dead_letters == 1
    assert (rows[job_id].error or "").startswith("QStash gave up: the last was answered 489")


ODD = "nul \u0000, half an emoji \ud83d"


@pytest.mark.parametrize(
    "odd",
    [
        {"header": {ODD: [ODD]}},
        {"body": encoded(b"\x00\xed\xa0\xbd")},
        {"sourceHeader": {"Upstash-Label": [ODD]}},
        {"url": ODD, "method": ODD, "dlqId": ODD},
        {"scheduleId": ODD},
        {ODD: ODD},
    ],
)
def test_fault_D5_what_cannot_be_stored_keeps_no_job_from_its_end(
    client: FlaskClient, rows: Rows, qstash: QStash, odd: dict[str, Any]
) -> None:
    job_id = recorded(rows)
    query = "?forward=https%3A%2F%2Fapp.example.com%2Ffailed"

    answer = call_back(client, report(envelope({}, jobId=job_id), **odd), query)

    assert answer.status_code == 200
    assert rows[job_id].dead_at is not None
    assert len(created(qstash, "/failed")) == 1


@pytest.mark.parametrize("where", ["sourceMessageId", "sourceBody", "scheduleId"])
@pytest.mark.parametrize("value", [ODD, [], 5, {"a": ODD}, "x" * 100_000])
def test_fault_D5_nothing_odd_is_answered_500(client: FlaskClient, where: str, value: Any) -> None:
    told = report(envelope({"a": ODD}), **{where: value})

    assert call_back(client, told).status_code in {200, 489}


def test_fault_D5_a_letter_with_what_cannot_be_stored_is_taken_over(
    rows: Rows, qstash: QStash
) -> None:
    job_id = enqueue("sample", {"action": "none"}, delay=3600)
    given: dict[str, Any] = {
        **dict.fromkeys(field.name for field in fields(DlqMessage)),
        "message_id": rows[job_id].message_id,
        "body": json.dumps(rows[job_id].payload),
        "response_body": ODD,
        "response_status": 500,
        "response_headers": {ODD: [ODD]},
        "failure_callback": "http://[",
        "headers": {"Upstash-Label": [ODD]},
        "max_retries": 3,
    }

    assert take_over(from_queue(DlqMessage(**given)))
    assert rows[job_id].dead_at is not None


def test_fault_D5_a_probe_of_odd_bytes_is_answered(client: FlaskClient) -> None:
    for body in (b"\x00", b"\xed\xa0\xbd", b"\xff" * 100):
        assert deliver(client, body, "/api/jobs/probe").status_code == 200


def test_fault_R23_a_job_of_the_largest_size_can_be_given_up(
    client: FlaskClient, rows: Rows
) -> None:
    job = envelope({"action": "x" * 1_047_000})
    assert len(json.dumps(job)) < 1024 * 1024

    answer = call_back(client, report(job))

    assert answer.status_code == 200, answer.text
    assert rows[job["jobId"]].dead_at is not None


REBOUND = Mock(return_value=[(0, 0, 0, "", ("10.0.0.5", 0))])
OUTAGE = Mock(side_effect=socket.gaierror(socket.EAI_AGAIN, "Temporary failure"))


@pytest.mark.parametrize(("resolver", "status"), [(REBOUND, 200), (OUTAGE, 503)])
def test_fault_D16_A14_where_a_callback_goes_is_checked_when_it_is_called(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, resolver: Mock, status: int
) -> None:
    """QStash is away here: were it asked to call the private address, it would be 503, too."""
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    query = "?forward=https%3A%2F%2Fhooks.example.com%2F"

    assert call_back(client, report(envelope({"action": "x"})), query).status_code == status


def test_fault_K2_a_job_that_only_met_a_full_pool_is_run_after_all(
    app: Flask, live_qstash: QStash, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real server; its failure callback meets the same, and so the sweep finds out."""
    job_id = enqueue("sample", {"action": "none"}, delay="90d", retries=0)
    rows.set(job_id, message_id=None, published_at=text("now()"), available_at=None)
    body = json.dumps(rows[job_id].payload)
    db.session.rollback()
    monkeypatch.setattr(db.engine.pool, "_timeout", 0.05)
    with ExitStack() as held:
        for _ in range(app.config["DATABASE_POOL_SIZE"]):
            held.enter_context(db.engine.connect())
        live_qstash.message.publish(url=f"{BASE_URL}/api/jobs/sample", body=body, retries=0)
        wait_until(lambda: live_qstash.dlq.list().messages, "the dead letter")

    def is_done() -> bool:
        sweep(grace=0)
        return rows[job_id].status == Status.COMPLETED

    wait_until(is_done, "the job")
    assert (rows[job_id].reschedules, len(rows[job_id].attempts)) == (1, 1)
