"""With a session, a job exists if and only if the caller's transaction commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.db import db
from app.jobs import InvalidPayload, JobBlueprint, JobExecution, enqueue, enqueue_many
from app.jobs.recover.sweep import sweep
from app.jobs.table.job_rows import get_job_execution_by_job_id
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import publishing
from tests.support.qstash import deliver, envelope
from tests.support.rows import count_rows
from tests.support.sample_jobs import SampleSchema

GOOD = {"action": "none"}


class Published:
    """What the real local server has taken, read through the official SDK."""

    def __init__(self, client: QStash) -> None:
        self.client = client

    def ids(self) -> list[str]:
        """The published jobs in the order in which QStash took them."""
        logs = self.client.http.request(path="/v2/events?state=CREATED&count=1000", method="GET")[
            "events"
        ]
        order = [log["messageId"] for log in reversed(logs)]
        rows = db.session.execute(select(JobExecution.message_id, JobExecution.job_id))
        jobs = {row.message_id: row.job_id for row in rows}
        db.session.rollback()
        return [jobs[message_id] for message_id in order]


@pytest.fixture
def published(qstash: QStash) -> Published:
    return Published(qstash)


def within(session: Any = None, **options: Any) -> str:
    """Enqueue in the session's transaction, far enough ahead that nothing is delivered."""
    return enqueue("sample", GOOD, session=session or db.session, delay=3600, **options)


def test_nothing_is_published_before_the_commit(published: Published) -> None:
    job_id = within()
    with db.engine.connect() as other:
        assert other.scalar(select(func.count()).select_from(JobExecution)) == 0

    db.session.commit()

    assert published.ids() == [job_id]


def test_a_rollback_leaves_no_trace(published: Published) -> None:
    within()
    db.session.rollback()
    kept = within()
    db.session.commit()

    assert published.ids() == [kept]
    assert count_rows() == 1


def test_a_rolled_back_savepoint_takes_only_its_own(published: Published) -> None:
    before = within()
    savepoint = db.session.begin_nested()
    within()
    with db.session.begin_nested():
        within()
    savepoint.rollback()
    with db.session.begin_nested():
        inside = within()
    after = within()
    db.session.commit()

    assert published.ids() == [before, inside, after]
    assert count_rows() == 3


def test_a_released_savepoint_waits_for_the_whole(published: Published) -> None:
    with db.session.begin_nested():
        within()
    assert published.ids() == []
    db.session.rollback()

    assert published.ids() == []


def test_closing_the_session_without_a_commit_leaves_no_trace(published: Published) -> None:
    with Session(db.engine) as session:
        within(session)

    assert published.ids() == []
    assert count_rows() == 0


def test_any_session_will_do(published: Published) -> None:
    with Session(db.engine) as session, session.begin():
        job_id = within(session)

    assert published.ids() == [job_id]


@contextmanager
def batches(app: Flask, reply: Reply) -> Iterator[HttpServer]:
    """A QStash that answers every request alike."""
    with HttpServer(reply) as server, publishing(app, QSTASH_URL=server.url):
        yield server


def test_many_jobs_of_one_transaction_go_in_one_request_and_in_order(app: Flask) -> None:
    with batches(
        app, Reply(body='[{"messageId": "m1"}, {"messageId": "m2"}, {"messageId": "m3"}]')
    ) as server:
        ids = [within(), *enqueue_many("sample", [GOOD, GOOD], session=db.session)]
        db.session.commit()

        assert server.paths == ["/v2/batch"]
    rows = [get_job_execution_by_job_id(job_id) for job_id in ids]
    assert [row and row.message_id for row in rows] == ["m1", "m2", "m3"]


def test_a_message_that_fails_in_a_batch_is_asked_for_alone(app: Flask) -> None:
    with batches(app, Reply(body='[{"messageId": "m1"}, {"error": "quota exceeded"}]')) as server:
        ids = enqueue_many("sample", [GOOD, GOOD])

        assert server.paths[0] == "/v2/batch"
        assert server.paths[1].startswith("/v2/publish/")
    rows = [get_job_execution_by_job_id(job_id) for job_id in ids]
    assert [row and row.message_id for row in rows] == ["m1", None]


def test_a_refusal_after_the_commit_does_not_break_it(app: Flask) -> None:
    with batches(app, Reply(400, '{"error": "invalid token"}')):
        job_id = within()
        db.session.commit()

    row = get_job_execution_by_job_id(job_id)
    assert row is not None
    assert (row.status, row.dead_at is not None) == ("failed", True)


def test_enqueue_many_is_one_insert_and_publishes_all(published: Published) -> None:
    payloads = [{"action": "none", "count": number} for number in range(250)]

    ids = enqueue_many("sample", payloads, delay=3600, user_id=7)

    assert published.ids() == ids
    row = get_job_execution_by_job_id(ids[249])
    assert row is not None
    assert (row.payload["payload"]["count"], row.user_id, row.max_retries) == (249, 7, 3)
    assert row.available_at is not None


def test_enqueue_many_is_all_or_nothing(app: Flask) -> None:
    with pytest.raises(InvalidPayload) as caught:
        enqueue_many("sample", [GOOD, {}, {"action": 5}])

    assert caught.value.errors == {
        1: {"action": ["Missing data for required field."]},
        2: {"action": ["Not a valid string."]},
    }
    assert count_rows() == 0


def test_enqueue_many_of_nothing_is_nothing(app: Flask) -> None:
    assert enqueue_many("sample", []) == []


def test_a_key_tells_whether_its_job_existed(published: Published) -> None:
    first = within(idempotency_key="k")
    assert not first.existed  # type: ignore[attr-defined]
    db.session.commit()

    again = within(idempotency_key="k")
    assert (again, again.existed) == (first, True)  # type: ignore[attr-defined]
    db.session.commit()
    assert published.ids() == [first]


def test_a_handlers_enqueue_is_published_with_its_completion(
    published: Published, client: FlaskClient
) -> None:
    deliver(client, envelope({"action": "parent"}))

    db.session.rollback()
    child = db.session.scalars(select(JobExecution).where(JobExecution.job_type == "noop")).one()
    assert child.message_id is not None


def test_the_enqueue_of_a_handler_that_fails_leaves_no_trace(
    published: Published, client: FlaskClient
) -> None:
    deliver(client, envelope({"action": "bad-parent"}))

    assert published.ids() == []
    assert count_rows() == 1


@pytest.mark.parametrize("raw", [True, False])
def test_fault_R8_what_a_savepoint_of_the_connection_took_back_is_not_published(
    published: Published, *, raw: bool
) -> None:
    connection = db.session.connection()
    kept = within()
    if raw:
        connection.execute(text("SAVEPOINT here"))
        within()
        connection.execute(text("ROLLBACK TO here"))
    else:
        savepoint = connection.begin_nested()
        within()
        savepoint.rollback()
    db.session.commit()

    assert published.ids() == [kept]
    assert count_rows() == 1


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
@pytest.mark.parametrize("ends", ["rollback", "commit"])
def test_fault_R8_a_session_that_joined_an_outer_transaction_publishes_nothing_before_that(
    published: Published, mode: Any, ends: str
) -> None:
    with db.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode) as session:
            job_id = enqueue("sample", GOOD, session=session)
            session.commit()
        assert created(published) == 0
        getattr(outer, ends)()

    report = sweep(grace=0)
    assert report.published == (ends == "commit")
    assert published.ids() == ([job_id] if ends == "commit" else [])


def test_fault_R8_a_handlers_enqueue_within_a_raw_savepoint_leaves_no_trace(
    app: Flask, published: Published, client: FlaskClient
) -> None:
    def handle(_: Any, __: Any) -> None:
        db.session.execute(text("SAVEPOINT here"))
        enqueue("noop", GOOD, session=db.session)
        db.session.execute(text("ROLLBACK TO here"))

    bp = JobBlueprint("raw", __name__)
    bp.job("raw", "/raw", payload=SampleSchema)(handle)
    app.register_blueprint(bp)

    answer = deliver(client, envelope(GOOD, "raw"), "/api/jobs/raw")

    assert answer.status_code == 200
    assert (created(published), count_rows()) == (0, 1)


def created(published: Published) -> int:
    return len(published.client.http.request(path="/v2/events", method="GET")["events"])
