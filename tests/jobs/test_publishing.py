"""What is asked of `enqueue` and `schedule` reaches QStash; read back through the official SDK."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from qstash import QStash

from app.jobs import FlowControl, JobExecution, enqueue, schedule
from app.jobs.extension import new_publisher
from app.jobs.message import Message
from app.jobs.publish import outbox
from tests.support.rows import row_of

GOOD = {"action": "none"}
DESTINATION = "https://app.example.com/api/jobs/sample"


def published(qstash: QStash, **options: Any) -> tuple[JobExecution, Any]:
    """Enqueue with a delay, so that the message is still there, and read both sides."""
    row = row_of(enqueue("sample", GOOD, **{"delay": 3600, **options}))
    assert row.message_id is not None
    return row, qstash.message.get(row.message_id)


def waits(message: Any) -> int:
    """Return for how many seconds the server holds a message back."""
    return round((message.not_before - message.created_at) / 1000)


def test_the_envelope_goes_to_the_types_endpoint(qstash: QStash) -> None:
    row, message = published(qstash)

    assert (message.url, message.method) == (DESTINATION, "POST")
    assert message.headers["Content-Type"] == ["application/json"]
    assert f'"jobId":"{row.job_id}"' in message.body
    assert message.max_retries == 3


@pytest.mark.parametrize("delay", [90, 89.5, timedelta(seconds=90), "1m30s"])
def test_a_delay_is_seconds_a_timedelta_or_a_duration(qstash: QStash, delay: Any) -> None:
    row, message = published(qstash, delay=delay)

    assert waits(message) == 90
    assert row.options["delay"] == 90
    assert row.available_at is not None


def test_not_before_is_a_moment(qstash: QStash) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    row, message = published(qstash, delay=None, not_before=moment)

    assert message.not_before == moment.timestamp() * 1000
    assert row.available_at == moment


def test_retries_and_callbacks_reach_qstash(qstash: QStash) -> None:
    row, message = published(
        qstash,
        retries=7,
        retry_delay="1000 * (1 + retried)",
        timeout="1m",
        callback="https://app.example.com/done",
        failure_callback="https://app.example.com/failed",
        label=["emails", "welcome"],
        headers={"X-Tenant": "acme"},
    )

    assert message.max_retries == row.max_retries == 7
    assert message.retry_delay_expression == "1000 * (1 + retried)"
    assert message.callback == "https://app.example.com/done"
    # Ours, which forwards to the caller's.
    assert message.failure_callback == (
        "https://app.example.com/api/jobs/failure-callback"
        "?forward=https%3A%2F%2Fapp.example.com%2Ffailed"
    )
    assert message.headers["X-Tenant"] == ["acme"]
    assert len(message.headers["X-Request-Id"]) == 1
    assert message.label == "emails"
    assert (row.options["timeout"], row.options["label"]) == (60, "emails,welcome")


def test_flow_control_reaches_qstash(qstash: QStash) -> None:
    limit = FlowControl(key="tenant-1", rate=5, period=10, parallelism=2)

    row, message = published(qstash, flow_control=limit)

    flow = message.flow_control
    own = outbox.publisher().own("tenant-1")
    assert (flow.key, flow.rate, flow.period, flow.parallelism) == (own, 5, 10, 2)
    assert row.options["flow_control"]["key"] == "tenant-1"


def test_a_queue_delivers_in_order(qstash: QStash) -> None:
    own = outbox.publisher().own("orders")
    qstash.queue.upsert(own, paused=True)

    row = row_of(enqueue("sample", GOOD, queue="orders"))

    assert row.message_id is not None
    assert qstash.message.get(row.message_id).queue == own
    assert row.queue == "orders"


def test_a_message_published_twice_is_one_message(qstash: QStash, app: Flask) -> None:
    """A publish whose answer was lost may be repeated."""
    publisher = app.extensions["jobs"].publisher
    message = Message(
        job_id="j", job_type="sample", endpoint="/api/jobs/sample", body="{}", options={"delay": 60}
    )

    first = publisher.publish(message)

    assert publisher.publish(message) == first
    assert publisher.publish(replace(message, reschedules=1)) != first


def test_a_later_publish_waits_only_for_what_is_left(qstash: QStash, app: Flask) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    message = Message(
        job_id="j",
        job_type="sample",
        endpoint="/api/jobs/sample",
        body="{}",
        options={"delay": 3600},
        available_at=soon,
    )

    found = qstash.message.get(app.extensions["jobs"].publisher.publish(message))

    assert waits(found) == 30


def test_a_schedule_fires_without_a_job_id(qstash: QStash) -> None:
    schedule_id = schedule(
        "sample",
        "0 3 * * *",
        GOOD,
        schedule_id="nightly",
        timezone="Europe/Berlin",
        organization_id=8,
        delay="10s",
        retries=1,
    )

    found = qstash.schedule.get(schedule_id)
    assert (schedule_id, found.cron) == ("nightly", "CRON_TZ=Europe/Berlin 0 3 * * *")
    assert (found.destination, found.retries, found.delay) == (DESTINATION, 1, 10)
    assert str(UUID(json.loads(found.body or "")["jobId"]))  # which no firing goes by
    assert '"organizationId":8' in (found.body or "")


def test_a_schedule_of_the_same_id_replaces_the_first(qstash: QStash) -> None:
    for cron in ("0 3 * * *", "0 4 * * *"):
        schedule("sample", cron, GOOD, schedule_id="nightly")

    assert [found.cron for found in qstash.schedule.list()] == ["0 4 * * *"]


@pytest.mark.parametrize("namespace", ["", "staging"])
def test_fault_A2_queues_and_flow_control_keys_are_the_apps_own(
    app: Flask, qstash: QStash, namespace: str
) -> None:
    app.config["JOBS_NAMESPACE"] = namespace
    ours = new_publisher(app.config)
    theirs = new_publisher({**app.config, "BASE_URL": "https://other.example.com"})

    assert (ours.own("resend") == theirs.own("resend")) == bool(namespace)
    assert ours.own("resend") == (
        "staging.resend"
        if namespace
        else f"{sha256(b'https://app.example.com').hexdigest()[:8]}.resend"
    )


def test_fault_A2_so_are_those_of_schedules(app: Flask, qstash: QStash) -> None:
    limit = FlowControl(key="k", rate=1)
    own = outbox.publisher().own

    first = schedule("sample", "0 3 * * *", GOOD, flow_control=limit)
    second = schedule("sample", "0 3 * * *", GOOD, queue="q")

    assert qstash.schedule.get(first).flow_control.key == own("k")  # type: ignore[union-attr]
    assert qstash.schedule.get(second).queue == own("q")


def test_fault_A2_a_copy_of_the_database_keeps_nobody_from_publishing(
    app: Flask, qstash: QStash
) -> None:
    """Staging runs on a copy of production's rows, with its account at QStash."""
    job = Message(
        job_id="j", job_type="sample", endpoint="/api/jobs/sample", body="{}", options={"delay": 60}
    )
    theirs = new_publisher({**app.config, "BASE_URL": "https://staging.example.com"})
    first = theirs.publish(job)
    theirs.close()

    assert outbox.publisher().publish(job) != first
