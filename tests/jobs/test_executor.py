"""A verified delivery: claimed by one, executed once, recorded, answered as QStash understands."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, text

from app.db import db
from app.jobs import JobExecution, Status, enqueue
from app.jobs.message import Message
from tests.support.qstash import BASE_URL, claims_for, deliver, envelope, token
from tests.support.rows import change_row, row_of
from tests.support.sample_jobs import Effect

LOST = "the process died or was cut off, and its lease ran out"


def effects(job: dict[str, Any]) -> list[str]:
    return list(db.session.scalars(select(Effect.note).where(Effect.job_id == job["jobId"])))


def test_success_commits_the_work_and_its_completion_together(client: FlaskClient) -> None:
    job = envelope({"action": "echo"})

    response = deliver(client, job)

    result = {"attempt": 1, "key": f"{job['jobId']}/0", "userId": 7}
    assert response.json == {"success": True, "jobId": job["jobId"], "result": result}
    row = row_of(job)
    assert (row.status, row.result, row.error) == (Status.COMPLETED, result, None)
    assert row.completed_at is not None
    assert row.lease_token is None
    assert effects(job) == ["echo"]


def test_a_job_without_a_row_gets_one_on_arrival(client: FlaskClient) -> None:
    job = envelope({"action": "none"}, extra="is ignored")

    deliver(client, job, upstash_retried="1", upstash_message_id="msg_foreign")

    row = row_of(job)
    assert row.payload == job
    assert (row.user_id, row.retry_count, row.message_id) == (7, 1, "msg_foreign")


def test_a_row_of_the_typescript_starter_is_executed(client: FlaskClient) -> None:
    """Its rows have only the original's columns."""
    job = envelope({"action": "none"})
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, status, payload, retry_count, user_id)"
            " VALUES (:id, 'sample', 'pending', CAST(:payload AS jsonb), 0, 7)"
        ),
        {"id": job["jobId"], "payload": json.dumps(job)},
    )
    db.session.commit()

    assert deliver(client, job).status_code == 200
    row = row_of(job)
    assert (row.status, row.max_retries, len(row.attempts)) == (Status.COMPLETED, None, 1)


def test_a_duplicate_of_a_completed_job_is_a_success_that_runs_nothing(client: FlaskClient) -> None:
    job = envelope({"action": "none"})
    deliver(client, job)

    response = deliver(client, job)

    assert (response.status_code, response.json) == (200, {"success": True, "skipped": "completed"})
    assert len(effects(job)) == 1


def test_a_failure_is_recorded_and_answered_500_without_its_message(client: FlaskClient) -> None:
    job = envelope({"action": "fail"})

    response = deliver(client, job)

    assert (response.status_code, response.json) == (
        500,
        {"error": "ValueError", "jobId": job["jobId"]},
    )
    row = row_of(job)
    assert (row.status, row.error, row.dead_at) == (
        Status.FAILED,
        "ValueError: a \ufffd bad ? day",
        None,
    )
    assert effects(job) == []


def test_every_attempt_is_kept(client: FlaskClient) -> None:
    job = envelope({"action": "fail-twice"})

    answers = [deliver(client, job, upstash_retried=str(n)).status_code for n in range(3)]

    assert answers == [500, 500, 200]
    row = row_of(job)
    assert [(a["number"], a["outcome"], a["status"]) for a in row.attempts] == [
        (1, "failed", 500),
        (2, "failed", 500),
        (3, "completed", 200),
    ]
    assert "not yet" in row.attempts[0]["error"]
    assert "Traceback" in row.attempts[0]["traceback"]
    assert (row.status, row.retry_count, row.error) == (Status.COMPLETED, 2, None)


def test_only_the_newest_attempts_are_kept(client: FlaskClient) -> None:
    job = envelope({"action": "fail"})
    for _ in range(22):
        deliver(client, job)

    numbers = [attempt["number"] for attempt in row_of(job).attempts]
    assert numbers == list(range(3, 23))


def test_the_last_failure_is_dead_and_later_deliveries_of_it_run_nothing(
    client: FlaskClient,
) -> None:
    job = envelope({"action": "fail"})

    deliver(client, job, upstash_retried="3", jobs_retries="3")

    assert row_of(job).dead_at is not None
    assert deliver(client, job).json == {"success": True, "skipped": "dead"}


def test_a_redrive_of_a_dead_job_runs_it_again(client: FlaskClient) -> None:
    """A message id that the row does not know comes from QStash's own dead-letter queue."""
    job = envelope({"action": "fail-twice"})
    deliver(client, job, jobs_retries="3")
    deliver(client, job, upstash_retried="3")

    response = deliver(client, job, upstash_message_id="msg_redriven")

    assert response.status_code == 200
    assert (row_of(job).status, row_of(job).dead_at) == (Status.COMPLETED, None)


def test_a_permanent_error_is_dead_at_once(client: FlaskClient) -> None:
    job = envelope({"action": "permanent"})

    response = deliver(client, job)

    assert response.status_code == 489
    assert response.headers["Upstash-NonRetryable-Error"] == "true"
    assert row_of(job).dead_at is not None


def test_an_error_may_say_when_to_retry(client: FlaskClient) -> None:
    assert deliver(client, envelope({"action": "hiccup"})).headers["Retry-After"] == "7"


def test_a_result_that_is_not_json_is_a_permanent_failure(client: FlaskClient) -> None:
    job = envelope({"action": "not-json"})

    assert deliver(client, job).status_code == 489
    assert "cannot be stored as JSON" in (row_of(job).error or "")


def test_a_result_that_is_too_large_is_not_stored(client: FlaskClient) -> None:
    job = envelope({"action": "huge"})

    assert deliver(client, job).status_code == 200
    assert row_of(job).result == {"truncated": True, "bytes": 100_012}


def test_work_that_cannot_be_committed_is_a_failure(client: FlaskClient) -> None:
    job = envelope({"action": "broken-commit"})

    assert deliver(client, job).status_code == 500
    assert "UniqueViolation" in (row_of(job).error or "")
    assert effects(job) == []


def test_a_handler_that_runs_too_long_is_stopped(client: FlaskClient) -> None:
    job = envelope({"action": "spin"})

    assert deliver(client, job).status_code == 500
    assert row_of(job).error == "the handler was stopped after its timeout of 2 s"


def test_a_query_that_runs_too_long_is_stopped(client: FlaskClient) -> None:
    job = envelope({"action": "slow-query"})

    assert deliver(client, job).status_code == 500
    assert "statement timeout" in (row_of(job).error or "")


def test_a_delivery_waits_while_another_holds_the_lease(client: FlaskClient) -> None:
    job = envelope({"action": "fail"})
    deliver(client, job)
    change_row(
        job,
        status="processing",
        lease_token=job["jobId"],
        lease_expires_at=text("now() + interval '20 seconds'"),
    )

    response = deliver(client, job)

    assert response.status_code == 503
    assert 18 <= int(response.headers["Retry-After"]) <= 21


def test_a_lease_that_ran_out_is_taken_over_and_the_lost_attempt_is_kept(
    client: FlaskClient,
) -> None:
    job = envelope({"action": "fail"})
    deliver(client, job)
    change_row(job, status="processing", lease_expires_at=text("now() - interval '1 second'"))

    assert deliver(client, job).status_code == 500

    attempts = row_of(job).attempts
    assert [attempt["outcome"] for attempt in attempts] == ["failed", "lost", "failed"]
    assert (attempts[1]["error"], attempts[2]["number"]) == (LOST, 3)


def test_a_zombie_commits_nothing(app: Flask, client: FlaskClient) -> None:
    """Its lease was taken over while its handler ran."""
    job = envelope({"action": "none"})

    @event.listens_for(db.session, "before_flush", once=True)
    def take_over(*_: object) -> None:
        with db.engine.begin() as other:
            other.execute(text("UPDATE job_executions SET lease_token = gen_random_uuid()"))

    response = deliver(client, job)

    assert (response.status_code, response.json) == (
        503,
        {"error": "another delivery took this job over"},
    )
    assert row_of(job).status == Status.PROCESSING
    assert effects(job) == []


def test_of_many_deliveries_at_once_one_executes(app: Flask) -> None:
    job = envelope({"action": "none"})
    deliver(app.test_client(), {**job, "payload": {"action": "fail"}})

    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: deliver(app.test_client(), job).status_code, range(16))
        )

    assert set(answers) <= {200, 503}
    assert len(effects(job)) == 1


def test_of_many_first_deliveries_at_once_one_executes(app: Flask) -> None:
    job = envelope({"action": "none"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: deliver(app.test_client(), job).status_code, range(16)))

    assert len(effects(job)) == 1


def test_each_firing_of_a_schedule_is_a_job_of_its_own(client: FlaskClient) -> None:
    fired = {"type": "sample", "payload": {"action": "fail"}, "metadata": {}}
    ids = [
        deliver(client, fired, upstash_schedule_id="scd_1", upstash_message_id=message).json[
            "jobId"
        ]  # type: ignore[index]
        for message in ("msg_a", "msg_a", "msg_b")
    ]

    assert ids[0] == ids[1] != ids[2]
    row = row_of({"jobId": ids[0]})
    assert (row.schedule_id, len(row.attempts)) == ("scd_1", 2)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b"[" * 100_000, "not JSON"),
        ({"type": "sample"}, "envelope is broken"),
        (envelope({"action": "x"}, jobId=42), "envelope is broken"),
        (envelope({"action": "x"}, jobId=""), "envelope is broken"),
        (envelope({"action": "x"}, jobId="x" * 256), "envelope is broken"),
        (envelope({"action": "x"}, jobId="two\nlines"), "envelope is broken"),
        (envelope({"action": "x"}, metadata={"userId": "7"}), "envelope is broken"),
        (envelope({"action": "x"}, metadata=None), "envelope is broken"),
        (envelope({"action": "x"}, job_type="noop"), "takes jobs of type 'sample', not 'noop'"),
        (envelope({"action": "x"}, job_type="unknown"), "takes jobs of type 'sample'"),
        (envelope({}), "Invalid job payload"),
        (envelope({"action": 5}), "Invalid job payload"),
        (envelope({"action": "x", "extra": 1}), "Invalid job payload"),
    ],
)
def test_what_can_never_be_executed_is_answered_489(
    client: FlaskClient, body: bytes | dict[str, Any], said: str
) -> None:
    response = deliver(client, body)

    assert response.status_code == 489
    assert response.headers["Upstash-NonRetryable-Error"] == "true"
    assert said in response.json["error"]  # type: ignore[index]


def test_an_invalid_payload_is_answered_field_by_field_and_its_row_is_dead(
    client: FlaskClient,
) -> None:
    job = envelope({"action": "fail"})
    deliver(client, job)

    response = deliver(client, {**job, "payload": {"action": 5}})

    assert response.json == {
        "error": "Invalid job payload",
        "errors": {"action": ["Not a valid string."]},
    }
    row = row_of(job)
    assert row.dead_at is not None
    assert row.error == "Invalid job payload: action: Not a valid string."


def test_a_job_of_another_type_is_refused(client: FlaskClient) -> None:
    job = envelope({"action": "fail"})
    deliver(client, job)

    response = deliver(client, {**job, "type": "noop"}, path="/api/jobs/noop")

    assert response.status_code == 489
    assert row_of(job).job_type == "sample"


def test_no_database_is_answered_503_and_the_delivery_comes_again(
    client: FlaskClient, no_database: None
) -> None:
    response = deliver(client, envelope({"action": "none"}))

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "6"


def test_a_connection_that_died_in_the_pool_is_replaced(client: FlaskClient) -> None:
    deliver(client, envelope({"action": "none"}))
    with db.engine.connect() as other:
        other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    assert deliver(client, envelope({"action": "none"})).status_code == 200


def test_a_no_op_delivery_costs_two_statements(client: FlaskClient, statements: list[str]) -> None:
    job = envelope({"action": "none"}, job_type="noop")
    deliver(client, job, path="/api/jobs/noop")
    change_row(job, status="pending")
    statements.clear()

    deliver(client, job, path="/api/jobs/noop")

    assert [statement.split()[0] for statement in statements] == ["UPDATE", "UPDATE"]


def test_a_no_op_delivery_waits_for_the_database_twice(client: FlaskClient, tmp_path: Path) -> None:
    """Each of its statements commits by itself; libpq tells what it sends and gets."""
    job = envelope({"action": "none"}, job_type="noop")
    deliver(client, job, path="/api/jobs/noop")
    change_row(job, status="pending")
    with (tmp_path / "trace").open("w+") as trace:

        def begin(connection: Any, *_: object) -> None:
            connection.pgconn.trace(trace.fileno())

        def end(connection: Any, _: object) -> None:
            connection.pgconn.untrace()

        event.listen(db.engine, "checkout", begin)
        event.listen(db.engine, "checkin", end)

        deliver(client, job, path="/api/jobs/noop")

        trace.seek(0)
        assert trace.read().count("ReadyForQuery") == 2
        event.remove(db.engine, "checkout", begin)
        event.remove(db.engine, "checkin", end)
    assert row_of(job).status == "completed"


def captured(job: dict[str, Any], path: str = "/api/jobs/sample") -> dict[str, str]:
    """Return what a delivery needs to be sent again just as it was: its token."""
    return {"signature": token(claims_for(json.dumps(job).encode(), BASE_URL + path))}


def count_jobs() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(JobExecution)) or 0


FORGED = [
    {"upstash_message_id": "msg_forged"},
    {"upstash_message_id": ""},
    {"upstash_message_id": "msg_forged", "upstash_schedule_id": "scd_x"},
    {"upstash_message_id": "msg_forged", "upstash_retried": "0"},
    {"upstash_schedule_id": "scd_x"},
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize("action", ["none", "permanent", "later", "legs"])
def test_fault_R4_R7_a_captured_delivery_executes_nothing_more_under_other_headers(
    client: FlaskClient, action: str, headers: dict[str, str]
) -> None:
    job = envelope({"action": action, "count": 3})
    same = captured(job)
    deliver(client, job, **same)
    before = row_of(job)
    attempts, status = len(before.attempts), before.status

    for _ in range(3):
        deliver(client, job, **same, **headers)

    row = row_of(job)
    assert (len(row.attempts), row.status, count_jobs()) == (attempts, status, 1)


def test_fault_R4_a_firing_is_not_executed_again_under_another_message_id(
    client: FlaskClient,
) -> None:
    fired = envelope({"action": "none"})
    del fired["jobId"]
    same = captured(fired)
    first = {"upstash_schedule_id": "scd_1", "upstash_message_id": "msg_1"}
    assert deliver(client, fired, **same, **first).status_code == 200

    again = deliver(client, fired, **same, **first | {"upstash_message_id": "msg_2"})
    assert again.status_code == 489
    # QStash's own duplicate, and its next firing, are as they were.
    assert deliver(client, fired, **same, **first).json == {"success": True, "skipped": "completed"}
    assert count_jobs() == 1
    assert deliver(client, fired, **first | {"upstash_message_id": "msg_2"}).status_code == 200
    assert count_jobs() == 2


def test_a_foreign_schedule_whose_firings_bear_one_job_id_fires_each_time(
    client: FlaskClient,
) -> None:
    fired, schedule = envelope({"action": "none"}), {"upstash_schedule_id": "scd_1"}
    tokens = [captured({**fired})["signature"] for _ in range(2)]
    for number, one in enumerate(tokens):
        answer = deliver(
            client, fired, signature=one, **schedule, upstash_message_id=f"msg_{number}"
        )
        assert answer.status_code == 200
        assert "result" in (answer.json or {})
    assert count_jobs() == 2

    # Captured, and sent again as another firing, or as a job that is of no schedule.
    for headers in ({**schedule, "upstash_message_id": "msg_9"}, {"upstash_message_id": "msg_0"}):
        assert deliver(client, fired, signature=tokens[0], **headers).status_code == 489
    assert count_jobs() == 2


def test_fault_R4_every_try_of_a_firing_is_spent(client: FlaskClient) -> None:
    fired = envelope({"action": "fail-twice"})
    del fired["jobId"]
    first = {"upstash_schedule_id": "scd_1", "upstash_message_id": "msg_1"}
    tokens = [captured({**fired})["signature"] for _ in range(3)]
    answers = [deliver(client, fired, signature=one, **first).status_code for one in tokens]
    assert answers == [500, 500, 200]

    for one in tokens:
        forged = {**first, "upstash_message_id": "msg_2"}
        assert deliver(client, fired, signature=one, **forged).status_code == 489
    assert count_jobs() == 1


def test_fault_R4_a_token_written_otherwise_is_the_same(client: FlaskClient) -> None:
    """The last letter of a signature has bits that say nothing."""
    fired = envelope({"action": "none"})
    del fired["jobId"]
    good = captured(fired)["signature"]
    headers = {"upstash_schedule_id": "scd_1", "upstash_message_id": "msg_1"}
    assert deliver(client, fired, signature=good, **headers).status_code == 200

    headers["upstash_message_id"] = "msg_2"
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        answer = deliver(client, fired, signature=good[:-1] + letter, **headers)
        assert answer.status_code in {401, 489}
    assert count_jobs() == 1


def test_fault_R4_a_token_of_before_the_death_is_no_redrive(client: FlaskClient) -> None:
    job = envelope({"action": "permanent"})
    body = json.dumps(job).encode()
    early = claims_for(body, BASE_URL + "/api/jobs/sample")
    early["iat"] -= 60
    deliver(client, job)

    forged = deliver(client, job, signature=token(early), upstash_message_id="msg_2")

    assert forged.json == {"success": True, "skipped": "dead"}
    assert len(row_of(job).attempts) == 1


@pytest.mark.parametrize("retried", ["99", "9" * 30, "9" * 5000])
def test_fault_R4_D5_retried_is_never_more_than_there_are_retries(
    client: FlaskClient, published: list[Message], retried: str
) -> None:
    job_id = enqueue("sample", {"action": "fail"})
    job = envelope({"action": "fail"}, jobId=job_id)

    assert deliver(client, job, upstash_retried=retried).status_code == 500

    assert row_of(job).retry_count == 3


@pytest.mark.parametrize("header", ["upstash_message_id", "upstash_schedule_id"])
@pytest.mark.parametrize("value", ["\u00ed\u00a0\u00bd", "x" * 5000, "../../v2/dlq", "a b"])
def test_fault_D5_odd_ids_in_headers_break_nothing(
    client: FlaskClient, header: str, value: str
) -> None:
    job = envelope({"action": "none"})

    assert deliver(client, job, **{header: value}).status_code == 200
    # Whether as a job or, by a strange schedule's id, as a firing of one.
    assert db.session.scalars(select(JobExecution.status)).all() == [Status.COMPLETED]


@pytest.mark.parametrize(("action", "outcome"), [("later", "rescheduled"), ("legs", "continued")])
def test_fault_R7_a_duplicate_does_not_run_a_postponed_job_early(
    client: FlaskClient, published: list[Message], action: str, outcome: str
) -> None:
    job = envelope({"action": action, "count": 3})
    deliver(client, job)

    for _ in range(3):
        assert deliver(client, job).json == {"success": True, "skipped": outcome}

    assert [attempt["outcome"] for attempt in row_of(job).attempts] == [outcome]
    assert len(published) == 1


def test_fault_R7_a_duplicate_of_a_released_job_does_not_run_it(
    client: FlaskClient, published: list[Message]
) -> None:
    job = envelope({"action": "later"})
    deliver(client, job)
    row = row_of(job)
    change_row(job, attempts=[{**row.attempts[0], "outcome": "released"}])

    assert deliver(client, job).json == {"success": True, "skipped": "released"}


def test_fault_R7_a_duplicate_publishes_what_was_put_off_but_not_published(
    client: FlaskClient, published: list[Message]
) -> None:
    """The process died between putting the job off and publishing it."""
    job = envelope({"action": "later"})
    deliver(client, job)
    published.clear()
    change_row(job, message_id=None, published_at=None)

    assert deliver(client, job).json == {"success": True, "skipped": "rescheduled"}

    assert [message.job_id for message in published] == [job["jobId"]]
    assert row_of(job).published_at is not None
    assert len(row_of(job).attempts) == 1


def test_fault_R7_also_long_after_the_attempt_is_kept_no_more(
    client: FlaskClient, published: list[Message]
) -> None:
    job = envelope({"action": "always-later"})
    for n in range(25):
        assert deliver(client, job, upstash_message_id=f"msg_{n}").status_code == 200
    attempts = row_of(job).attempts

    again = deliver(client, job, upstash_message_id="msg_0")

    assert again.json == {"success": True, "skipped": "handed over"}
    assert row_of(job).attempts == attempts
    db.session.execute(text("DELETE FROM job_executions"))
    db.session.commit()
    assert deliver(client, job, upstash_message_id="msg_0").json == {
        "success": True,
        "skipped": "deleted",
    }
    assert count_jobs() == 0


def test_fault_R4_a_firing_that_names_a_job_is_not_that_job_without_its_header(
    client: FlaskClient,
) -> None:
    """A schedule's envelope names a job for other consumers, which no firing of ours is."""
    fired = envelope({"action": "none"}, metadata={"cron": "* * * * *"})
    same = captured(fired)
    first = {"upstash_schedule_id": "scd_1", "upstash_message_id": "msg_1"}
    assert deliver(client, fired, **same, **first).status_code == 200

    for headers in ({}, {"upstash_schedule_id": ""}, {"upstash_message_id": ""}):
        assert deliver(client, fired, **same, **headers).status_code == 489
    assert count_jobs() == 1
