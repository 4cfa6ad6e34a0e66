"""Retries of the one who published: what QStash does counts, not what the registry says."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from qstash import QStash

from app.jobs.recover import sweep
from tests.support.qstash import BASE_URL, deliver, envelope
from tests.support.rows import Rows
from tests.support.waiting import wait_until


def publish(qstash: QStash, body: dict[str, Any], **options: Any) -> str:
    answer = qstash.message.publish_json(
        url=f"{BASE_URL}/api/jobs/sample", body=body, retry_delay="1", **options
    )
    return str(answer.message_id)  # type: ignore[union-attr]


@pytest.mark.parametrize("retries", [5, 1])
def test_a_producers_retries_are_made_whatever_the_registry_says(
    live_qstash: QStash, rows: Rows, retries: int
) -> None:
    body = envelope({"action": "fail"})
    message_id = publish(live_qstash, body, retries=retries)
    filter_: Any = {"message_id": message_id}
    wait_until(lambda: live_qstash.dlq.list(filter=filter_).messages, "the dead letter")

    row = rows[body["jobId"]]
    assert [attempt["outcome"] for attempt in row.attempts] == ["failed"] * (retries + 1)
    assert (row.status, row.retry_count, row.dead_at) == ("failed", retries, None)

    sweep.sweep(grace=0)
    row = rows[body["jobId"]]
    assert row.dead_at is not None
    assert "QStash gave up: the last was answered 500" in str(row.error)


def test_a_producer_that_tells_its_retries_learns_at_once(client: FlaskClient, rows: Rows) -> None:
    body = envelope({"action": "fail"})
    for retried in range(6):
        row = rows[body["jobId"]] if retried else None
        assert row is None or row.dead_at is None
        headers = {"jobs_retries": "5", "upstash_retried": str(retried)}
        assert deliver(client, body, **headers).status_code == 500
    assert rows[body["jobId"]].dead_at is not None


@pytest.mark.parametrize("told", ["", "many", "-1", "9" * 12, "٣"])
def test_what_is_told_wrong_is_not_known(client: FlaskClient, rows: Rows, told: str) -> None:
    body = envelope({"action": "fail"})
    deliver(client, body, jobs_retries=told.encode().decode("latin-1"), upstash_retried="99")
    assert rows[body["jobId"]].max_retries is None
    assert rows[body["jobId"]].dead_at is None


def test_an_error_that_no_retry_can_mend_is_final(client: FlaskClient, rows: Rows) -> None:
    body = envelope({"action": "permanent"})
    assert deliver(client, body).status_code == 489
    assert rows[body["jobId"]].dead_at is not None
