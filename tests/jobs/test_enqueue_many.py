"""Many jobs in one call: more than are recorded by one statement, from a generator, all or none."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from qstash import QStash
from sqlalchemy import select

from app.db import db
from app.jobs import DatabaseUnavailable, InvalidPayload, JobExecution, enqueue_many
from app.jobs.enqueue import many
from app.jobs.message import Message
from app.jobs.publish.outbox import batches
from app.jobs.publish.qstash import Publisher
from tests.support.rows import count_rows

#: Far enough ahead that nothing is delivered.
LATER: Any = {"delay": 3600}


@pytest.fixture(autouse=True)
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record three jobs by one statement, so that eight take three."""
    monkeypatch.setattr(many, "CHUNK", 3)
    monkeypatch.setattr(Publisher, "BATCH", 2)


def payloads(count: int = 8) -> Iterator[dict[str, Any]]:
    return ({"action": "none", "count": number} for number in range(count))


def recorded() -> list[JobExecution]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution).order_by(JobExecution.id)))


@pytest.mark.usefixtures("qstash")
def test_a_generators_jobs_are_recorded_and_published_in_order() -> None:
    ids = enqueue_many("sample", payloads(), user_id=7, **LATER)

    rows = recorded()
    assert [row.job_id for row in rows] == ids
    assert [row.payload["payload"]["count"] for row in rows] == list(range(8))
    assert {(row.user_id, row.max_retries) for row in rows} == {(7, 3)}
    assert all(row.message_id and row.published_at for row in rows)


def test_published_from_the_row_a_message_is_the_same(qstash: QStash) -> None:
    in_turn = enqueue_many("sample", payloads(), label="mine", **LATER)
    together = enqueue_many("sample", payloads(2), label="mine", **LATER)

    sent = {row.job_id: qstash.message.get(row.message_id or "") for row in recorded()}
    for index, job_id in enumerate(together):
        one, other = sent[job_id], sent[in_turn[index]]
        assert (one.url, one.label, one.max_retries) == (other.url, other.label, other.max_retries)
        assert (one.headers or {}).keys() == (other.headers or {}).keys()


@pytest.mark.usefixtures("qstash")
def test_in_a_session_they_are_published_when_it_commits() -> None:
    enqueue_many("sample", payloads(), session=db.session, **LATER)
    assert set(db.session.scalars(select(JobExecution.message_id))) == {None}

    db.session.commit()

    assert len([row for row in recorded() if row.message_id]) == 8


@pytest.mark.usefixtures("qstash")
def test_a_rollback_of_the_session_leaves_no_trace() -> None:
    enqueue_many("sample", payloads(), session=db.session, **LATER)
    db.session.rollback()

    assert count_rows() == 0


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.usefixtures("app")
def test_a_bad_payload_in_a_later_chunk_leaves_nothing_behind(*, with_session: bool) -> None:
    """Also where the caller commits all the same; every bad payload is named by its index."""
    given = [*payloads(), {}, *payloads(), {"action": 5}]

    with pytest.raises(InvalidPayload) as caught:
        enqueue_many("sample", given, session=db.session if with_session else None)
    db.session.commit()

    assert caught.value.errors.keys() == {8, 17}
    assert count_rows() == 0


@pytest.mark.usefixtures("app")
def test_no_more_is_read_ahead_than_two_chunks() -> None:
    """So that a hundred thousand jobs are never in memory together."""
    seen = []

    def watched() -> Iterator[dict[str, Any]]:
        for payload in payloads():
            seen.append(count(db.session.connection()))
            yield payload

    def count(connection: Any) -> int:
        return int(connection.exec_driver_sql("SELECT count(*) FROM job_executions").scalar())

    enqueue_many("sample", watched(), session=db.session)

    assert seen == [0, 0, 0, 0, 0, 0, 6, 6]


@pytest.mark.usefixtures("app")
def test_a_connection_that_breaks_midway_leaves_none_and_says_so() -> None:
    """The payloads that were read are gone, so it cannot be made again."""

    def breaking() -> Iterator[dict[str, Any]]:
        yield from payloads(7)
        url = db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state = 'idle in transaction'"
            )
        yield from payloads(2)

    with pytest.raises(DatabaseUnavailable, match="none is") as caught:
        enqueue_many("sample", breaking())

    assert (caught.value.job_ids, count_rows()) == ((), 0)


def test_qstash_away_leaves_them_to_the_sweep(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked once, and not again for each batch."""
    ids = enqueue_many("sample", payloads())

    assert len(ids) == count_rows() == 8
    left = [record for record in caplog.records if "not published yet" in record.message]
    assert len(left) == 5  # two by their ids, three batches by their number
    assert {row.published_at for row in recorded()} == {None}


def test_a_batch_request_is_bounded_in_number_and_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Publisher, "BATCH_BYTES", 10)
    sizes = [4, 4, 4, 9, 30, 1]
    messages = [
        Message(job_id="j", job_type="sample", endpoint="/", body="x" * size, options={})
        for size in sizes
    ]

    divided = [[len(message.body) for message in batch] for batch in batches(messages)]

    assert divided == [[4, 4], [4], [9], [30], [1]]
