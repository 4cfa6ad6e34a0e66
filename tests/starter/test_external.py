"""Job types whose worker is elsewhere: it takes QStash's deliveries, and its end comes back."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from qstash import QStash
from qstash.errors import QStashError

from app.jobs import Jobs, enqueue, schedule
from app.jobs.errors import DiscoveryError, PermanentError
from app.jobs.execute.run_now import run_handler
from app.jobs.external_types import ExternalType
from app.jobs.operate import actions, reconcile
from app.jobs.recover import sweep
from app.jobs.table.filters import Filter
from tests.starter.notifications import Notification, NotificationSchema
from tests.support.http_server import HttpServer, Reply
from tests.support.qstash import BASE_URL, deliver
from tests.support.rows import Rows
from tests.support.waiting import wait_until

TYPE = "create-notification"
CALLBACK = "/api/jobs/callback"
WORK = "/api/jobs/notifications"


@pytest.fixture
def worker() -> Iterator[HttpServer]:
    """A worker elsewhere."""
    with HttpServer(Reply(body='{"success": true}')) as running:
        yield running


@pytest.fixture
def notify(app: Flask, worker: HttpServer) -> ExternalType[Notification]:
    return Jobs().external(TYPE, url=f"{worker.url}{WORK}", schema=NotificationSchema, retries=2)


def test_a_job_is_completed_by_the_callback(
    live_qstash: QStash, rows: Rows, worker: HttpServer, notify: ExternalType[Notification]
) -> None:
    job_id = notify.enqueue(Notification("Hello"), user_id=1)
    wait_until(lambda: rows[job_id].status == "completed", "the callback")

    row = rows[job_id]
    assert (row.result, row.retry_count, row.error) == ({"success": True}, 0, None)
    [got] = [one.json for one in worker.received]
    assert (got["jobId"], got["type"], got["payload"]) == (job_id, TYPE, {"title": "Hello"})
    assert got["metadata"].keys() == {"userId", "createdAt"}
    assert sweep.sweep(grace=0).published == 0
    assert [one for one in reconcile.differences(grace=0) if one.subject == job_id] == []
    assert len(worker.received) == 1


def test_it_is_retried_and_every_attempt_is_kept(
    live_qstash: QStash, rows: Rows, worker: HttpServer, notify: ExternalType[Notification]
) -> None:
    worker.replies[WORK] = [Reply(500, "no"), Reply(503, "{}")]
    job_id = enqueue(TYPE, {"title": "Hello"}, retry_delay="1")
    wait_until(lambda: rows[job_id].status == "completed", "the third attempt")
    wait_until(lambda: len(rows[job_id].attempts) in {1, 2, 3}, "the attempts")

    row = rows[job_id]
    assert row.retry_count == 2
    assert row.attempts[-1]["outcome"] == "completed"
    assert [one.json["jobId"] for one in worker.received] == [job_id] * 3


def test_what_failed_there_for_good_is_dead_here_and_can_be_retried(
    live_qstash: QStash, rows: Rows, worker: HttpServer, notify: ExternalType[Notification]
) -> None:
    worker.replies[WORK] = [Reply(500, "no")] * 2
    job_id = enqueue(TYPE, {"title": "Hello"}, retries=1, retry_delay="1")
    wait_until(lambda: rows[job_id].dead_at is not None, "the failure callback")
    assert "QStash gave up after 2 attempts: the last was answered 500: no" in str(
        rows[job_id].error
    )
    assert sweep.sweep(grace=0).published == 0

    actions.retry(Filter(job_ids=(job_id,)), by="test")
    wait_until(lambda: rows[job_id].status == "completed", "the retry")
    assert len(worker.received) == 3


def test_a_lost_callback_is_made_good_by_reconcile_and_never_published_anew(
    live_qstash: QStash, rows: Rows, worker: HttpServer, notify: ExternalType[Notification]
) -> None:
    job_id = notify.enqueue(Notification("Hello"))
    wait_until(lambda: rows[job_id].status == "completed", "the callback")
    message_id = rows[job_id].message_id
    wait_until(lambda: not _has(live_qstash, str(message_id)), "QStash to forget the message")
    rows.set(job_id, status="pending", completed_at=None, result=None)

    [found] = [one for one in reconcile.differences(grace=0) if one.subject == job_id]
    assert (found.kind, found.repair) == ("delivered", "mark the job completed")
    assert found.apply is not None
    assert found.apply()
    assert rows[job_id].status == "completed"

    rows.set(job_id, status="pending", completed_at=None, message_id="msg_unknown")
    [found] = [one for one in reconcile.differences(grace=0) if one.subject == job_id]
    assert (found.kind, found.apply) == ("unanswered", None)
    assert len(worker.received) == 1


def _has(qstash: QStash, message_id: str) -> bool:
    try:
        qstash.message.get(message_id)
    except QStashError:
        return False
    return True


def test_the_callers_own_callback_is_told_too(
    live_qstash: QStash, rows: Rows, worker: HttpServer, notify: ExternalType[Notification]
) -> None:
    callback = f"{worker.url}/told"
    job_id = enqueue(TYPE, {"title": "Hello"}, callback=callback)
    wait_until(lambda: len(worker.received) == 2, "the caller's callback")
    assert worker.received[1].json["sourceMessageId"] == rows[job_id].message_id


def test_a_schedules_firings_are_recorded(
    live_qstash: QStash,
    rows: Rows,
    worker: HttpServer,
    notify: ExternalType[Notification],
    app: Flask,
) -> None:
    scheduled = schedule(TYPE, "0 2 * * *", {"title": "Daily"}, schedule_id="daily")
    [found] = [one for one in live_qstash.schedule.list() if one.schedule_id == scheduled]
    assert found.destination == f"{worker.url}{WORK}"
    body = json.loads(str(found.body))
    assert body.keys() == {"jobId", "type", "payload", "metadata"}
    assert "createdAt" in body["metadata"]
    report = _report(body, "msg_firing", 200) | {"scheduleId": "daily"}
    answer = deliver(app.test_client(), report, path=CALLBACK)
    assert answer.status_code == 200
    row = rows[answer.get_json()["jobId"]]
    assert row.job_id != body["jobId"]
    assert (row.status, row.schedule_id, row.dead_at) == ("completed", "daily", None)


def _report(envelope: dict[str, Any], message_id: str, status: int, **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "body": b64encode(b'{"done": 1}').decode(),
        "retried": 0,
        "maxRetries": 3,
        "sourceMessageId": message_id,
        "sourceBody": b64encode(json.dumps(envelope).encode()).decode(),
        **more,
    }


def test_callbacks_that_come_late_or_twice_change_nothing(
    client: FlaskClient, rows: Rows, notify: ExternalType[Notification]
) -> None:
    job_id = enqueue(TYPE, {"title": "Hello"})
    body = rows[job_id].payload
    rows.set(job_id, message_id="msg_2", generation=1)

    def told(message_id: str, status: int, **more: Any) -> int:
        report = _report(body, message_id, status, **more)
        return deliver(client, report, path=CALLBACK).status_code

    assert told("msg_1", 200) == 200
    assert rows[job_id].status == "pending"
    assert told("msg_2", 500, retried=1) == 200
    assert told("msg_2", 500, retried=1) == 200
    assert told("msg_2", 500, retried=0) == 200
    assert (rows[job_id].status, rows[job_id].retry_count) == ("failed", 1)
    assert len(rows[job_id].attempts) == 1
    assert told("msg_2", 200, retried=2) == 200
    assert told("msg_2", 500, retried=3) == 200
    assert (rows[job_id].status, rows[job_id].result) == ("completed", {"done": 1})
    rows.set(job_id, status="pending", message_id=None)
    assert told("msg_3", 200) == 503


@pytest.mark.parametrize("status", [200, 500])
def test_a_report_of_another_type_is_refused(
    client: FlaskClient, rows: Rows, notify: ExternalType[Notification], status: int
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    report = _report(rows[job_id].payload, "msg_1", status)
    assert deliver(client, report, path=CALLBACK).status_code == 489
    assert deliver(client, {}, path=CALLBACK).status_code == 489
    assert client.post(CALLBACK, json=report).status_code == 401
    assert rows[job_id].status == "pending"


@pytest.mark.parametrize(
    "url", [None, "", "/api/jobs/x", "ftp://host/", "https://", "https://[::1"]
)
def test_an_external_type_without_a_url_is_refused(app: Flask, url: str | None) -> None:
    with pytest.raises(DiscoveryError, match="'create-notification' is external, and its url"):
        Jobs().external(TYPE, url=url, schema=NotificationSchema)


def test_it_is_not_run_here(
    app: Flask, client: FlaskClient, notify: ExternalType[Notification]
) -> None:
    with pytest.raises(PermanentError, match="are executed by http"):
        run_handler(TYPE, {"title": "Hello"})
    with pytest.raises(DiscoveryError, match="registered twice"):
        Jobs().external(TYPE, url="https://example.com", schema=NotificationSchema)
    listed = app.test_cli_runner().invoke(args=["jobs", "types"])
    assert notify.url in listed.output


def test_a_declaration_outside_of_apps_is_in_all_of_them(tmp_path: Path) -> None:
    jobs = Jobs()
    jobs.external(TYPE, url="https://example.com/jobs", schema=NotificationSchema)
    for _ in range(2):
        app = Flask("app")
        app.config.update(
            BASE_URL=BASE_URL, QSTASH_TOKEN="t", QSTASH_CURRENT_SIGNING_KEY="a",
            QSTASH_NEXT_SIGNING_KEY="b", SQLALCHEMY_DATABASE_URI="postgresql+psycopg://",
        )  # fmt: skip
        SQLAlchemy(app)
        jobs.init_app(app)
        assert [one.type for one in app.extensions["jobs"].registry] == [TYPE]
