"""Every verb of the official Python SDK, by its sync and its async client."""

import pytest
from qstash.chat import custom
from qstash.dlq import DlqMessage
from qstash.errors import QStashError
from qstash.log import LogState
from qstash.message import BatchResponse, PublishResponse

from tests.local_qstash.sdk import Sdk
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

LATER = {"delay": "1d"}


def test_publish_and_get(sdk: Sdk, destination: HttpServer) -> None:
    sent = sdk(
        "message.publish",
        url=destination.url,
        body="hello",
        headers={"X-A": "1"},
        retries=5,
        retry_delay="1000 * (1 + retried)",
        callback="http://example.com/c",
        failure_callback="http://example.com/f",
        delay="1d",
        label="blue",
        flow_control={"key": "k", "rate": 3, "period": "2m"},
    )
    assert isinstance(sent, PublishResponse)
    got = sdk("message.get", sent.message_id)
    assert (got.body, got.max_retries, got.headers["X-A"]) == ("hello", 5, ["1"])
    assert (got.callback, got.failure_callback) == ("http://example.com/c", "http://example.com/f")
    assert (got.label, got.retry_delay_expression) == ("blue", "1000 * (1 + retried)")
    assert (got.flow_control.key, got.flow_control.rate, got.flow_control.period) == ("k", 3, 120)
    assert got.flow_control.parallelism is None


def test_publish_json(sdk: Sdk, destination: HttpServer) -> None:
    sdk("message.publish_json", url=destination.url, body={"a": [1]})
    [got] = destination.wait()
    assert (got.body, got.headers["content-type"]) == (b'{"a": [1]}', "application/json")


def test_enqueue_and_enqueue_json(sdk: Sdk, destination: HttpServer) -> None:
    sdk("message.enqueue", queue="q", url=destination.url, body="1")
    sdk("message.enqueue_json", queue="q", url=destination.url, body=2)
    assert [got.body for got in destination.wait(2)] == [b"1", b"2"]


def test_batch_mixes_urls_queues_and_groups_with_headers_of_their_own(
    sdk: Sdk, destination: HttpServer
) -> None:
    endpoints = [{"url": f"{destination.url}/g{n}"} for n in (1, 2)]
    sdk("url_group.upsert_endpoints", "group", endpoints)
    results = sdk(
        "message.batch",
        [
            {"url": f"{destination.url}/a", "headers": {"X-A": "1"}, "body": "a"},
            {"url": f"{destination.url}/b", "queue": "q", "method": "PUT"},
            {"url_group": "group"},
        ],
    )
    assert isinstance(results[0], BatchResponse)
    assert [one.url for one in results[2]] == [one["url"] for one in endpoints]
    came = {got.path: got for got in destination.wait(4)}
    assert sorted(came) == ["/a", "/b", "/g1", "/g2"]
    assert (came["/a"].headers["x-a"], came["/b"].method) == ("1", "PUT")
    assert came["/g1"].headers["upstash-topic-name"] == "group"


def test_batch_json(sdk: Sdk, destination: HttpServer) -> None:
    [sent] = sdk("message.batch_json", [{"url": destination.url, "body": {"a": 1}}])
    [got] = destination.wait()
    assert (got.body, got.headers["upstash-message-id"]) == (b'{"a": 1}', sent.message_id)


def test_cancel(sdk: Sdk, destination: HttpServer) -> None:
    sent = sdk("message.publish", url=destination.url, **LATER)
    sdk("message.cancel", sent.message_id)
    with pytest.raises(QStashError, match="404"):
        sdk("message.get", sent.message_id)
    with pytest.raises(QStashError, match="404"):
        sdk("message.cancel", sent.message_id)


def test_cancel_many_and_all(sdk: Sdk, destination: HttpServer) -> None:
    ids = [sdk("message.publish", url=destination.url, **LATER).message_id for _ in range(5)]
    assert sdk("message.cancel_many", ids[:2]) == 2
    assert sdk("message.cancel_all") == 3
    assert sdk("message.cancel_all") == 0


def test_an_empty_list_to_cancel_is_refused_rather_than_everything_cancelled(
    sdk: Sdk, destination: HttpServer
) -> None:
    kept = sdk("message.publish", url=destination.url, **LATER)
    with pytest.raises(QStashError, match="400"):
        sdk("message.cancel_many", [])
    assert sdk("message.get", kept.message_id)


def test_queue_verbs(sdk: Sdk) -> None:
    sdk("queue.upsert", "jobs", parallelism=3)
    queue = sdk("queue.get", "jobs")
    assert (queue.name, queue.parallelism, queue.lag, queue.paused) == ("jobs", 3, 0, False)
    sdk("queue.pause", "jobs")
    assert sdk("queue.get", "jobs").paused
    sdk("queue.resume", "jobs")
    assert [one.paused for one in sdk("queue.list")] == [False]
    sdk("queue.delete", "jobs")
    sdk("queue.delete", "jobs")
    with pytest.raises(QStashError, match="404"):
        sdk("queue.get", "jobs")


def test_schedule_verbs(sdk: Sdk) -> None:
    created = sdk(
        "schedule.create",
        destination="https://example.com",
        cron="CRON_TZ=Europe/Paris 0 9 * * MON-FRI",
        body="b",
        delay="10s",
        timeout=20,
        retries=2,
        queue="jobs",
        label="daily",
    )
    schedule = sdk("schedule.get", created)
    assert (schedule.destination, schedule.body) == ("https://example.com", "b")
    assert (schedule.delay, schedule.timeout, schedule.retries) == (10, 20, 2)
    assert (schedule.queue, schedule.label, schedule.paused) == ("jobs", "daily", False)
    assert schedule.cron == "CRON_TZ=Europe/Paris 0 9 * * MON-FRI"
    assert schedule.next_schedule_time > schedule.created_at
    sdk("schedule.pause", created)
    assert sdk("schedule.get", created).paused
    sdk("schedule.resume", created)
    assert [one.paused for one in sdk("schedule.list")] == [False]
    sdk("schedule.delete", created)
    with pytest.raises(QStashError, match="404"):
        sdk("schedule.get", created)


def test_a_schedule_with_a_given_id_is_replaced_as_a_whole(sdk: Sdk) -> None:
    where = {"destination": "https://example.com", "schedule_id": "mine"}
    sdk("schedule.create", cron="0 1 * * *", label="old", **where)
    sdk("schedule.create_json", cron="0 2 * * *", body={"new": True}, **where)
    [schedule] = sdk("schedule.list")
    assert (schedule.schedule_id, schedule.cron) == ("mine", "0 2 * * *")
    assert (schedule.body, schedule.label) == ('{"new": true}', None)


def test_url_group_verbs(sdk: Sdk) -> None:
    sdk("url_group.upsert_endpoints", "g", [{"url": "http://a.test", "name": "one"}])
    sdk("url_group.upsert_endpoints", "g", [{"url": "http://b.test"}])
    sdk("url_group.upsert_endpoints", "g", [{"url": "http://c.test", "name": "one"}])
    group = sdk("url_group.get", "g")
    assert [(one.url, one.name) for one in group.endpoints] == [
        ("http://b.test", None),
        ("http://c.test", "one"),
    ]
    sdk("url_group.remove_endpoints", "g", [{"name": "one"}])
    assert [len(one.endpoints) for one in sdk("url_group.list")] == [1]
    sdk("url_group.remove_endpoints", "g", [{"url": "http://b.test"}])
    assert sdk("url_group.list") == []
    sdk("url_group.delete", "g")


def test_dlq_verbs(sdk: Sdk, destination: HttpServer) -> None:
    destination.replies["/"] = Reply(500)
    for label in ("a", "b", "c"):
        sdk("message.publish", url=f"{destination.url}/", retries=0, label=label)
    letters = wait_until(lambda: _three(sdk))
    assert [one.label for one in sdk("dlq.list", filter={"label": "b"}).messages] == ["b"]
    first = sdk("dlq.list", count=2)
    rest = sdk("dlq.list", count=2, cursor=first.cursor)
    assert (len(first.messages), len(rest.messages), rest.cursor) == (2, 1, None)
    assert sdk("dlq.get", letters[0].dlq_id).message_id == letters[0].message_id
    sdk("dlq.delete", letters[0].dlq_id)
    with pytest.raises(QStashError, match="404"):
        sdk("dlq.delete", letters[0].dlq_id)
    assert sdk("dlq.delete_many", [one.dlq_id for one in letters]) == 2


def _three(sdk: Sdk) -> list[DlqMessage]:
    letters = sdk("dlq.list").messages
    return letters if len(letters) == 3 else []


def test_log_verb(sdk: Sdk, destination: HttpServer) -> None:
    sent = sdk("message.publish", url=destination.url, body="b", label="x")
    mine = {"message_id": sent.message_id}
    states = wait_until(lambda: _until(sdk, mine, LogState.DELIVERED))
    assert states == [LogState.DELIVERED, LogState.ACTIVE, LogState.CREATED]
    page = sdk("log.list", count=2, filter=mine)
    rest = sdk("log.list", count=2, cursor=page.cursor, filter=mine)
    assert [one.state for one in page.logs + rest.logs] == states
    assert rest.cursor is None
    found = {"state": LogState.DELIVERED, "label": "x", "url": destination.url}
    assert [one.message_id for one in sdk("log.list", filter=found).logs] == [sent.message_id]
    assert sdk("log.list", filter={"label": "other"}).logs == []


def _until(sdk: Sdk, mine: dict[str, str], last: LogState) -> list[LogState]:
    states = [one.state for one in sdk("log.list", filter=mine).logs]
    return states if last in states else []


def test_signing_key_verbs(sdk: Sdk) -> None:
    before = sdk("signing_key.get")
    after = sdk("signing_key.rotate")
    assert after.current == before.next
    assert after.next not in (before.current, before.next)
    assert sdk("signing_key.get") == after


def test_flow_control_verbs(sdk: Sdk, destination: HttpServer) -> None:
    sdk("flow_control.pause", "k")
    limits = {"key": "k", "parallelism": 2, "rate": 10, "period": 60}
    sdk("message.publish", url=destination.url, flow_control=limits)
    key = sdk("flow_control.get", "k")
    assert (key.is_paused, key.wait_list_size) == (True, 1)
    assert (key.parallelism_max, key.rate_max, key.rate_period) == (2, 10, 60)
    sdk("flow_control.pin", "k", {"parallelism": 7})
    sdk("message.publish", url=destination.url, flow_control=limits)
    key = sdk("flow_control.get", "k")
    assert (key.parallelism_max, key.is_pinned_parallelism, key.is_pinned_rate) == (7, True, False)
    sdk("flow_control.unpin", "k", {"parallelism": True})
    sdk("flow_control.resume", "k")
    destination.wait(2)
    assert sdk("flow_control.get", "k").rate_count == 2
    sdk("flow_control.reset_rate", "k")
    assert sdk("flow_control.get", "k").rate_count == 0
    assert sdk("flow_control.get_global_parallelism").parallelism_max > 0


def test_a_provider_of_language_models_is_an_ordinary_publish(
    sdk: Sdk, destination: HttpServer
) -> None:
    api = {"name": "llm", "provider": custom(destination.url, "secret")}
    sdk("message.publish_json", api=api, body={"model": "m"}, headers={}, callback="http://c.test")
    [got] = destination.wait()
    assert (got.path, got.headers["authorization"]) == ("/v1/chat/completions", "Bearer secret")
