"""QStash says that it has given up: the job is dead, and a person can see why."""

import json
from base64 import b64decode, b64encode
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.jobs import Status, enqueue, outbox
from app.jobs.delivery import firing_id
from app.jobs.publisher import Message
from tests.jobs.conftest import Rows, wait_until
from tests.support.qstash import BASE_URL, claims_for, deliver, envelope, token

PATH = "/api/jobs/failure-callback"


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b64encode(raw).decode()


def report(job: Any, message_id: str = "msg_1", **members: Any) -> dict[str, Any]:
    return {
        "status": 503,
        "header": {"Content-Type": ["text/plain"]},
        "body": encoded(b"upstream is away\n"),
        "retried": 3,
        "maxRetries": 3,
        "sourceMessageId": message_id,
        "url": "https://app.example.com/api/jobs/sample",
        "method": "POST",
        "sourceHeader": {},
        "sourceBody": encoded(job),
        "dlqId": "1-0",
        **members,
    }


def call_back(client: FlaskClient, body: Any, query: str = "") -> TestResponse:
    return deliver(client, body, PATH + query)


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
    job_id = recorded(rows, status="processing", **lease)

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
    """Through the real server: an address that answers 404, and no retries."""
    job = envelope({"action": "x"})
    deliver(client, {**job, "payload": {"action": "fail"}})
    message = Message(
        job_id=job["jobId"],
        job_type="sample",
        endpoint="/api/jobs/nowhere",
        body=json.dumps(job),
        options={"retries": 0},
    )
    rows.set(job["jobId"], message_id=outbox.publisher().publish(message))

    wait_until(lambda: rows[job["jobId"]].dead_at, "the failure callback")
    assert "the last was answered 405" in (rows[job["jobId"]].error or "")
