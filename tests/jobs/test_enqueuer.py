"""Enqueue: validated, recorded, published; whatever goes wrong is said and nothing is lost."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, func, select

from app.db import db
from app.jobs import (
    DatabaseUnavailable,
    InvalidOption,
    InvalidPayload,
    JobExecution,
    PublishRefused,
    PublishUnavailable,
    Status,
    UnknownJobType,
    enqueue,
    enqueue_many,
    schedule,
)
from app.jobs.execute.executor import INTERRUPT_AFTER
from app.jobs.publish.qstash import MARGIN
from app.jobs.recover.sweep import sweep
from app.jobs.table import job_rows
from app.jobs.table.attempt_sql import LEASE_MARGIN
from app.jobs.table.db import translate_database_errors
from app.jobs.table.job_rows import get_job_execution_by_job_id
from app.jobs.values import jsonb
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import publishing
from tests.support.qstash import deliver
from tests.support.rows import count_rows, row_of
from tests.support.sample_jobs import Sample, sample

GOOD = {"action": "none"}
PUBLISHED = '{"messageId": "msg_7", "url": "https://app.example.com/api/jobs/sample"}'


@pytest.fixture
def qstash(app: Flask) -> Iterator[HttpServer]:
    """Answers every publish as the test says."""
    with (
        HttpServer(Reply(body=PUBLISHED)) as server,
        publishing(app, QSTASH_URL=server.url, JOBS_PUBLISH_TIMEOUT=0.5),
    ):
        yield server


def test_a_job_is_recorded_and_published(qstash: HttpServer) -> None:
    job_id = enqueue("sample", GOOD, user_id=7, organization_id=8)

    row = row_of(job_id)
    assert (row.status, row.message_id, row.user_id, row.organization_id) == (
        "pending",
        "msg_7",
        7,
        8,
    )
    assert row.published_at is not None
    assert row.payload["payload"] == {"action": "none", "count": 0}
    assert row.payload["metadata"].keys() == {"userId", "organizationId", "createdAt"}
    assert qstash.paths == ["/v2/publish/https://app.example.com/api/jobs/sample"]


def test_the_decorated_handler_enqueues_itself(qstash: HttpServer) -> None:
    """Its payload may be the dataclass as well as the wire's JSON."""
    job_id = sample.enqueue(Sample(action="none", count=3))

    assert row_of(job_id).payload["payload"] == {"action": "none", "count": 3}
    assert sample.config.timeout == 2


def test_an_enqueue_costs_an_insert_a_publish_and_an_update(
    qstash: HttpServer, statements: list[str]
) -> None:
    enqueue("sample", GOOD)  # connects
    statements.clear()

    enqueue("sample", GOOD)

    assert [statement.split()[0] for statement in statements] == ["INSERT", "UPDATE"]
    assert len(qstash.paths) == 2


def test_an_unknown_type_names_the_nearest(app: Flask) -> None:
    with pytest.raises(UnknownJobType, match="unknown job type 'simple'; did you mean: sample"):
        enqueue("simple", GOOD)


@pytest.mark.parametrize(
    ("payload", "errors"),
    [
        ({}, {"action": ["Missing data for required field."]}),
        ({"action": 5}, {"action": ["Not a valid string."]}),
        ({**GOOD, "extra": 1}, {"extra": ["Unknown field."]}),
        ({**GOOD, "count": "3"}, {"count": ["Not a valid integer."]}),
        ({"action": "a\x00b"}, {"payload": ["text must not contain NUL characters"]}),
        ({"action": "a\udc00b"}, {"payload": ["text must not contain unpaired surrogates"]}),
        (Sample(3), {"action": ["Not a valid string."]}),  # type: ignore[arg-type]
        (Sample("none", count="x"), {"count": ["Not a valid integer."]}),  # type: ignore[arg-type]
        ([1], {"payload": ["Not an object: list."]}),
        (None, {"payload": ["Not an object: NoneType."]}),
    ],
)
def test_a_bad_payload_is_refused_field_by_field(
    app: Flask, payload: Any, errors: dict[str, list[str]]
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        enqueue("sample", payload)

    assert caught.value.errors == errors
    assert count_rows() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delya": 5}, "unknown option 'delya'; did you mean: delay"),
        ({"delay": -1}, "delay: -1 is not a time from now on"),
        ({"delay": "soon"}, "delay: 'soon' is not a duration"),
        ({"delay": ""}, "delay: '' is not a duration"),
        ({"delay": float("inf")}, "delay: inf"),
        ({"delay": True}, "delay: True is not a duration"),
        ({"not_before": datetime(2030, 1, 1)}, "not an aware datetime"),  # noqa: DTZ001
        ({"delay": 5, "not_before": datetime(2030, 1, 1, tzinfo=UTC)}, "give only one of them"),
        ({"retries": -1}, "retries: -1"),
        ({"retries": 1.5}, "retries: 1.5"),
        ({"timeout": 0}, "timeout: 0 is too short; give at least one second"),
        ({"countdown": 5}, "unknown option 'countdown'; did you mean: delay?"),
        ({"userid": 5}, "unknown option 'userid'; did you mean: user_id?"),
        ({"retry_delay": ""}, "retry_delay: ''"),
        ({"callback": "ftp://x"}, "callback: 'ftp://x' is not an absolute"),
        ({"failure_callback": "/x"}, "failure_callback: '/x'"),
        ({"headers": {"bad name": "x"}}, "headers: 'bad name'"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers.X"),
        ({"headers": "X"}, "headers: 'X' is not a mapping"),
        ({"queue": "a/b"}, "queue: 'a/b'"),
        ({"queue": "a", "delay": 5}, "delay: QStash's queues do not support it"),
        ({"flow_control": {"key": "x"}}, "is not a FlowControl"),
        ({"label": ["a", ""]}, "label: ''"),
        ({"user_id": "7"}, "user_id: '7'"),
        ({"organization_id": 2**63}, "organization_id"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "x" * 256}, "idempotency_key"),
    ],
)
def test_a_bad_option_is_refused_with_the_reason(
    app: Flask, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        enqueue("sample", GOOD, **options)

    assert said in str(caught.value)
    assert count_rows() == 0


def test_a_repeated_key_makes_one_job(qstash: HttpServer) -> None:
    first = enqueue("sample", GOOD, idempotency_key="order-1")

    assert enqueue("sample", GOOD, idempotency_key="order-1") == first
    assert enqueue("sample", GOOD, idempotency_key="order-1", organization_id=1) != first
    assert len(qstash.paths) == 2


def test_a_key_used_by_many_at_once_makes_one_job(app: Flask, qstash: HttpServer) -> None:
    def race(_: int) -> str:
        with app.app_context():
            return enqueue("sample", GOOD, idempotency_key="race")

    with ThreadPoolExecutor(14) as threads:
        ids = set(threads.map(race, range(100)))

    assert len(ids) == count_rows() == len(qstash.paths) == 1


def test_qstash_unreachable_leaves_the_job_pending(app: Flask) -> None:
    row = row_of(enqueue("sample", GOOD))

    assert (row.status, row.published_at, row.message_id) == (Status.PENDING, None, None)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_qstash_in_trouble_leaves_the_job_pending(qstash: HttpServer, status: int) -> None:
    qstash.reply = Reply(status)

    assert row_of(enqueue("sample", GOOD)).published_at is None


def test_a_silent_qstash_leaves_the_job_pending(qstash: HttpServer) -> None:
    qstash.reply = Reply(hold=Event())

    assert row_of(enqueue("sample", GOOD)).published_at is None


@pytest.mark.parametrize("body", ["<html>", "{}", "[]", '"x"'])
def test_a_server_that_is_not_qstash_leaves_the_job_pending(qstash: HttpServer, body: str) -> None:
    qstash.reply = Reply(body=body)

    assert row_of(enqueue("sample", GOOD)).published_at is None


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_makes_the_job_dead_and_is_raised(qstash: HttpServer, status: int) -> None:
    qstash.reply = Reply(status, '{"error": "unable to authenticate: invalid token"}')

    with pytest.raises(PublishRefused, match="invalid token"):
        enqueue("sample", GOOD, idempotency_key="refused")

    row = db.session.scalars(select(JobExecution)).one()
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert "invalid token" in (row.error or "")


def test_no_database_means_nothing_is_enqueued(qstash: HttpServer, no_database: None) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        enqueue("sample", GOOD)

    assert qstash.paths == []


def test_a_schedule_without_qstash_is_not_made(app: Flask) -> None:
    with pytest.raises(PublishUnavailable):
        schedule("sample", "0 3 * * *", GOOD)


@pytest.mark.parametrize(
    ("cron", "timezone", "said"),
    [
        ("61 * * * *", None, "bad minute"),
        ("* * 32 * *", None, "bad day-of-month"),
        ("* * * * * *", None, "has 6 fields"),
        ("@fortnightly", None, "unrecognized descriptor"),
        ("0 3 * * *", "Mars/Base", "unknown time zone 'Mars/Base'"),
        ("0 3 * * *", "../etc", "unknown time zone"),
    ],
)
def test_a_bad_cron_names_the_bad_field(
    app: Flask, cron: str, timezone: str | None, said: str
) -> None:
    with pytest.raises(InvalidOption, match=said):
        schedule("sample", cron, GOOD, timezone=timezone)


def test_a_schedule_takes_no_not_before(app: Flask) -> None:
    with pytest.raises(InvalidOption, match="not_before"):
        schedule("sample", "0 3 * * *", GOOD, not_before=datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime.now(UTC) - timedelta(days=366),
        datetime.now(UTC) + timedelta(days=3651),
    ],
)
def test_fault_R3_a_moment_out_of_bounds_is_refused(qstash: HttpServer, moment: datetime) -> None:
    with pytest.raises(InvalidOption, match="more than a year a"):
        enqueue("sample", GOOD, not_before=moment)

    assert (count_rows(), qstash.paths) == (0, [])


@pytest.mark.parametrize("days", [-364, 364])
def test_fault_R3_a_moment_within_bounds_is_taken(qstash: HttpServer, days: int) -> None:
    assert enqueue("sample", GOOD, not_before=datetime.now(UTC) + timedelta(days=days))


@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 409, 412, 421, 423, 425, 451, 499])
def test_fault_R13_what_says_nothing_of_the_message_leaves_the_job_pending(
    qstash: HttpServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    qstash.reply = Reply(status, '{"error": "no"}')

    row = row_of(enqueue("sample", GOOD))

    assert (row.status, row.published_at, row.dead_at) == (Status.PENDING, None, None)
    said = next(one for one in caplog.records if one.message == "[jobs] Job not published yet")
    assert said.levelname == ("WARNING" if status in {408, 425} else "ERROR")
    qstash.reply = Reply(200, f"[{PUBLISHED}]")
    assert sweep(grace=0).published == 1


@pytest.fixture
def lost_answers(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As many INSERTs as the list has members are done, and their answers lost."""
    left: list[int] = []
    execute = psycopg.Cursor.execute

    def broken(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        result = execute(cursor, query, *args, **options)
        if left and "INSERT" in str(query):
            left.pop()
            with suppress(psycopg.OperationalError):
                cursor.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            execute(cursor, "SELECT 1")  # as one that waited for its answer fails
        return result

    monkeypatch.setattr(psycopg.Cursor, "execute", broken)
    return left


@pytest.mark.parametrize("key", [None, "k"])
def test_fault_R10_a_commit_whose_answer_is_lost_is_one_job(
    qstash: HttpServer, lost_answers: list[int], key: str | None
) -> None:
    lost_answers.append(1)

    job_id = enqueue("sample", GOOD, idempotency_key=key)

    assert (job_id.existed, count_rows()) == (False, 1)
    assert row_of(job_id).message_id == "msg_7"


def test_fault_R10_many_likewise(qstash: HttpServer, lost_answers: list[int]) -> None:
    lost_answers.append(1)
    qstash.reply = Reply(body=f"[{PUBLISHED}, {PUBLISHED}]")

    assert len(enqueue_many("sample", [GOOD, GOOD])) == count_rows() == 2


def test_fault_R10_where_nobody_knows_the_error_says_so_and_names_the_job(
    qstash: HttpServer, lost_answers: list[int]
) -> None:
    lost_answers += [1, 1, 1]

    with pytest.raises(DatabaseUnavailable, match="may have been recorded") as caught:
        enqueue("sample", GOOD)

    (job_id,) = caught.value.job_ids
    assert job_id in str(caught.value)
    assert (row_of(job_id).status, qstash.paths) == (Status.PENDING, [])


def test_fault_R10_a_job_that_is_published_is_never_said_not_to_be(
    qstash: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between the publish and the note of it."""
    away = create_engine(db.engine.url.set(host="127.0.0.1", port=9))
    noted = job_rows.note_published

    def vanish(published: Any) -> None:
        with translate_database_errors(), away.connect():
            noted(published)

    monkeypatch.setattr(job_rows, "note_published", vanish)
    job_id = enqueue("sample", GOOD)
    monkeypatch.undo()

    assert len(qstash.paths) == 1
    qstash.reply = Reply(body=f"[{PUBLISHED}]")
    assert sweep(grace=0).published == 1
    assert row_of(job_id).message_id == "msg_7"


def test_fault_A4_qstash_waits_longer_than_the_handler_may_take(qstash: HttpServer) -> None:
    enqueue("sample", GOOD, timeout=30)

    assert qstash.received[0].headers["upstash-timeout"] == "40s"
    assert LEASE_MARGIN > MARGIN > INTERRUPT_AFTER


LARGE = {"action": "x" * 1_100_000}


def enqueue_one() -> object:
    return enqueue("sample", LARGE)


def enqueue_among_others() -> object:
    return enqueue_many("sample", [{"action": "none"}, LARGE])


def schedule_it() -> object:
    return schedule("sample", "0 0 * * *", LARGE)


@pytest.mark.parametrize("way", [enqueue_one, enqueue_among_others, schedule_it])
def test_fault_K16_R23_what_this_app_would_refuse_is_not_enqueued(
    app: Flask, way: Callable[[], object]
) -> None:
    with pytest.raises(InvalidPayload, match="JOBS_MAX_BODY is 1,048,576"):
        way()

    assert db.session.scalar(select(func.count()).select_from(JobExecution)) == 0


def test_fault_K16_what_grows_as_it_is_sealed_is_counted_so(app: Flask) -> None:
    app.config["JOBS_MAX_BODY"] = 4000
    data = {"recipientName": "Ann", "resetUrl": "https://a.example/" + "x" * 2000}
    email = {"to": "a@b.co", "template": "passwordReset", "data": data}
    assert len(str(email)) < 2500

    app.config["JOBS_MAX_BODY"] = 2600
    with pytest.raises(InvalidPayload, match="JOBS_MAX_BODY"):
        enqueue("send-email", email)


def test_what_is_enqueued_is_what_a_delivery_may_have(app: Flask, client: FlaskClient) -> None:
    """The largest that is taken here is taken there: counted in the same bytes."""
    with pytest.raises(InvalidPayload) as caught:
        enqueue("sample", {"action": "\u00e4" * 600_000})
    size = int(re.findall(r"message of ([0-9,]+) bytes", str(caught.value))[0].replace(",", ""))
    fits = "\u00e4" * (600_000 - (size - 1024 * 1024 + 1) // 2)

    job_id = enqueue("sample", {"action": fits})
    row = get_job_execution_by_job_id(job_id)
    assert row is not None
    body = jsonb.dumps(row.payload).encode()

    assert len(body) in {1024 * 1024, 1024 * 1024 - 1}
    assert deliver(client, body).status_code == 200
