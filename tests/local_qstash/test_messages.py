"""Looking at messages, cancelling them, delivering them ahead of time; logs and redaction."""

import hashlib
import threading
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

URL = "http://127.0.0.1:1"


def _publish(http: httpx.Client, url: str, **options: str) -> str:
    headers = {f"Upstash-{name.replace('_', '-')}": value for name, value in options.items()}
    message_id: str = http.post(f"/v2/publish/{url}", headers=headers).json()["messageId"]
    return message_id


@pytest.mark.parametrize(
    ("query", "cancelled"),
    [
        ("url=http://127.0.0.1:1/a", 1),
        ("host=127.0.0.1:1", 2),
        ("path=/b", 1),
        ("label=blue", 2),
        ("label=blue,red", 3),
        ("label=blue&label=red", 3),
        ("label=blue&path=/a", 1),
        ("flowControlKey=k", 1),
        ("callerIp=127.0.0.1", 3),
        ("callerIp=10.0.0.1", 0),
        ("fromDate=9999999999999", 0),
        ("toDate=9999999999999&count=2", 3),
        ("topicName=g", 0),
        ("queueName=q", 0),
        ("scheduleId=s", 0),
    ],
)
def test_filters_select_what_is_cancelled(http: httpx.Client, query: str, cancelled: int) -> None:
    _publish(http, f"{URL}/a", Delay="1d", Label="blue, green")
    _publish(http, f"{URL}/b", Delay="1d", Label="blue")
    flow = {"Flow_Control_Key": "k", "Flow_Control_Value": "rate=1"}
    _publish(http, "http://other.test:1/a", Delay="1d", Label="red", **flow)
    assert http.delete(f"/v2/messages?{query}").json() == {"cancelled": cancelled}


def test_a_cancelled_message_is_logged_now_and_when_it_would_have_gone(
    http: httpx.Client,
) -> None:
    message_id = _publish(http, URL, Delay="50s")  # half a second at this speed
    http.delete(f"/v2/messages/{message_id}")
    assert _states(http, message_id) == ["CANCEL_REQUESTED", "CREATED"]
    wait_until(lambda: _states(http, message_id)[0] == "CANCELED")
    assert [log["state"] for log in _logs(http, "state=CANCELLED")] == ["CANCELED"]


def test_an_attempt_in_flight_is_not_called_back_but_nothing_follows_it(
    http: httpx.Client, destination: HttpServer
) -> None:
    held = threading.Event()
    destination.replies["/"] = Reply(500, hold=held)
    message_id = _publish(http, f"{destination.url}/")
    destination.wait()
    http.delete(f"/v2/messages/{message_id}")
    held.set()
    wait_until(lambda: _states(http, message_id)[0] == "CANCELED")
    assert len(destination.received) == 1
    assert http.get("/v2/dlq").json()["messages"] == []


def test_a_delayed_message_can_be_delivered_now(
    http: httpx.Client, destination: HttpServer
) -> None:
    message_id = _publish(http, destination.url, Delay="1d")
    assert http.post(f"/v2/messages/{message_id}/retry").status_code == 200
    assert destination.wait()[0].headers["upstash-retried"] == "0"


def test_a_message_in_a_queue_cannot_be_delivered_out_of_order(http: httpx.Client) -> None:
    http.post("/v2/queues", json={"queueName": "q", "paused": True})
    sent = http.post(f"/v2/enqueue/q/{URL}").json()
    assert http.post(f"/v2/messages/{sent['messageId']}/retry").status_code == 400


def test_a_dead_letter_is_retried_as_a_new_message_with_overrides(
    http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/"] = [Reply(500)]
    headers = {"Upstash-Retries": "0", "Upstash-Redact-Fields": "body", "Content-Type": "text/x"}
    http.post(f"/v2/publish/{destination.url}/", headers=headers, content=b"secret")
    [letter] = wait_until(lambda: http.get("/v2/dlq").json()["messages"])
    answer = http.post(f"/v2/dlq/retry/{letter['dlqId']}", headers={"Upstash-Retries": "9"})
    assert answer.status_code == 201
    second = destination.wait(2)[1]
    assert (second.body, second.headers["content-type"]) == (b"secret", "text/x")
    assert second.headers["upstash-message-id"] == answer.json()["messageId"]
    assert answer.json()["messageId"] != letter["messageId"]
    assert http.get("/v2/dlq").json()["messages"] == []
    assert http.get(f"/v2/messages/{answer.json()['messageId']}").json()["maxRetries"] == 9


def test_dead_letters_are_retried_and_deleted_in_bulk_by_filter(
    http: httpx.Client, destination: HttpServer
) -> None:
    for status in (500, 501, 502):
        destination.replies[f"/{status}"] = [Reply(status)]
        _publish(http, f"{destination.url}/{status}", Retries="0")
    wait_until(lambda: len(http.get("/v2/dlq").json()["messages"]) == 3)
    answer = http.post("/v2/dlq/retry?responseStatus=501").json()
    assert [one["url"] for one in answer["responses"]] == [f"{destination.url}/501"]
    assert http.delete(f"/v2/dlq?url={destination.url}/500").json() == {"deleted": 1}
    assert http.delete("/v2/dlq?count=1").json() == {"deleted": 1}


def test_logs_tell_every_state_with_the_response_of_a_failure(
    http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/"] = [Reply(500, b"oops", {"X-Why": "w"})]
    message_id = _publish(http, f"{destination.url}/", Retry_Delay="1")
    wait_until(lambda: "DELIVERED" in _states(http, message_id))
    logs = _logs(http, f"messageId={message_id}&order=earliestFirst")
    states = ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED"]
    assert [log["state"] for log in logs] == states
    error, retry = logs[2:4]
    assert (error["responseStatus"], error["responseHeader"]["X-Why"]) == (500, ["w"])
    assert error["responseBody"] == b64encode(b"oops").decode()
    assert retry["nextDeliveryTime"] >= retry["time"]
    assert not {"responseStatus", "error"} & logs[0].keys()


def test_a_state_that_stands_for_several_finds_them_all(
    http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/"] = [Reply(500)]
    message_id = _publish(http, f"{destination.url}/", Retry_Delay="1")
    wait_until(lambda: "DELIVERED" in _states(http, message_id))
    assert {log["state"] for log in _logs(http, "state=IN_PROGRESS")} == {
        "ACTIVE",
        "ERROR",
        "RETRY",
    }


@pytest.mark.parametrize("fields", ["body, header[X-Secret]", "body,headers[x-secret]"])
def test_redacted_fields_are_hidden_from_outputs_and_delivered_all_the_same(
    http: httpx.Client, destination: HttpServer, fields: str
) -> None:
    headers = {
        "Upstash-Redact-Fields": fields,
        "Upstash-Forward-X-Secret": "s",
        "Upstash-Forward-X-Open": "o",
    }
    sent = http.post(f"/v2/publish/{destination.url}", headers=headers, content=b"b").json()
    [got] = destination.wait()
    assert (got.body, got.headers["x-secret"]) == (b"b", "s")
    log = _logs(http, f"messageId={sent['messageId']}")[0]
    assert log["body"] == f"REDACTED:{hashlib.sha256(b'b').hexdigest()}"
    assert log["header"]["X-Secret"] == [f"REDACTED:{hashlib.sha256(b's').hexdigest()}"]
    assert log["header"]["X-Open"] == ["o"]


def test_all_headers_can_be_redacted(http: httpx.Client) -> None:
    headers = {"Upstash-Redact-Fields": "header", "Upstash-Forward-A": "a", "Upstash-Delay": "1d"}
    sent = http.post(f"/v2/publish/{URL}", headers=headers).json()
    shown = http.get(f"/v2/messages/{sent['messageId']}").json()["header"]
    assert all(value.startswith("REDACTED:") for [value] in shown.values())


def test_a_body_that_is_no_text_is_shown_in_base64(http: httpx.Client) -> None:
    headers = {"Upstash-Delay": "1d"}
    sent = http.post(f"/v2/publish/{URL}", headers=headers, content=b"\xff\x00").json()
    shown = http.get(f"/v2/messages/{sent['messageId']}").json()
    assert shown["bodyBase64"] == b64encode(b"\xff\x00").decode()
    assert "body" not in shown


def test_several_labels_are_all_shown(http: httpx.Client) -> None:
    message_id = _publish(http, URL, Label="one, two", Delay="1d")
    shown = http.get(f"/v2/messages/{message_id}").json()
    assert (shown["label"], shown["labels"]) == ("one", ["one", "two"])


def _logs(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v2/logs?{query}").json()
    assert answer["logs"] == answer["events"]
    logs: list[dict[str, Any]] = answer["events"]
    return logs


def _states(http: httpx.Client, message_id: str) -> list[str]:
    return [log["state"] for log in _logs(http, f"messageId={message_id}")]
