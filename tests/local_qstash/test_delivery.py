"""What arrives at a destination, and what its answer leads to."""

import json
import threading
from base64 import b64decode

import httpx
import pytest
from qstash import QStash, Receiver

from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import connect
from tests.support.waiting import wait_until


def test_a_delivery_is_signed_so_that_the_official_receiver_accepts_it(
    server: LocalQStash, client: QStash, destination: HttpServer
) -> None:
    url = f"{destination.url}/a%2Fb?x=1&y=%20"
    client.message.publish_json(url=url, body={"name": "Zoë"})
    [got] = destination.wait()
    Receiver(server.current_signing_key, server.next_signing_key).verify(
        signature=got.headers["upstash-signature"], body=got.body.decode(), url=url
    )


def test_a_delivery_carries_the_body_the_forwarded_headers_and_qstashs_own(
    client: QStash, destination: HttpServer
) -> None:
    sent = client.message.publish(
        url=f"{destination.url}/hook", body="raw", content_type="text/x", headers={"X-A": "b"}
    )
    [got] = destination.wait()
    assert (got.method, got.path, got.body) == ("POST", "/hook", b"raw")
    expected = {
        "content-type": "text/x",
        "x-a": "b",
        "user-agent": "Upstash-QStash",
        "upstash-message-id": sent.message_id,  # type: ignore[union-attr]
        "upstash-retried": "0",
        "upstash-caller-ip": "127.0.0.1",
        "upstash-region": "EU-CENTRAL-1",
    }
    assert expected.items() <= got.headers.items()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_the_method_is_the_one_asked_for(
    client: QStash, destination: HttpServer, method: str
) -> None:
    client.message.publish(url=destination.url, method=method)  # type: ignore[arg-type]
    assert destination.wait()[0].method == method


def test_a_body_that_is_no_text_arrives_byte_for_byte(
    http: httpx.Client, destination: HttpServer
) -> None:
    body = bytes(range(256)) * 300
    http.post(f"/v2/publish/{destination.url}", content=body)
    assert destination.wait()[0].body == body


def test_header_forward_passes_on_every_header_but_credentials(
    http: httpx.Client, destination: HttpServer
) -> None:
    headers = {"Upstash-Header-Forward": "true", "X-Plain": "1"}
    http.post(f"/v2/publish/{destination.url}", headers=headers)
    [got] = destination.wait()
    assert got.headers["x-plain"] == "1"
    assert "authorization" not in got.headers


def test_headers_that_belong_to_the_delivery_cannot_be_forwarded(
    http: httpx.Client, destination: HttpServer
) -> None:
    own = ("Host", "Content-Length", "Transfer-Encoding", "Upstash-Signature", "Upstash-Retried")
    headers = {f"Upstash-Forward-{name}": "77" for name in own}
    http.post(f"/v2/publish/{destination.url}", headers=headers, content=b"body")
    [got] = destination.wait()
    assert "77" not in got.headers.values()
    assert got.body == b"body"


def test_an_empty_body_is_delivered_as_one(http: httpx.Client, destination: HttpServer) -> None:
    http.post(f"/v2/publish/{destination.url}")
    [got] = destination.wait()
    assert (got.body, got.headers["content-length"]) == (b"", "0")
    assert "content-type" not in got.headers


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500, 503])
def test_any_status_but_2xx_is_tried_again_also_a_redirect(
    client: QStash, destination: HttpServer, status: int
) -> None:
    destination.replies["/"] = [Reply(status, headers={"Location": f"{destination.url}/x"})]
    client.message.publish(url=f"{destination.url}/")
    retried = [got.headers["upstash-retried"] for got in destination.wait(2, "/")]
    assert retried == ["0", "1"]
    assert not destination.at("/x")


def test_a_message_that_fails_every_attempt_becomes_a_dead_letter(
    client: QStash, destination: HttpServer
) -> None:
    destination.replies["/"] = Reply(500, b"no", {"X-Why": "broken"})
    sent = client.message.publish(url=f"{destination.url}/", body="b", retries=2, retry_delay="1")
    [letter] = wait_until(lambda: client.dlq.list().messages)
    assert len(destination.received) == 3
    assert letter.message_id == sent.message_id  # type: ignore[union-attr]
    assert (letter.response_status, letter.response_body, letter.body) == (500, "no", "b")
    assert letter.response_headers is not None
    assert letter.response_headers["X-Why"] == ["broken"]


def test_failures_are_logged_in_a_line_without_the_query(
    client: QStash, destination: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "app.local_qstash")
    destination.replies["/"] = Reply(500)
    client.message.publish(url=f"{destination.url}/?secret=x", retries=1, retry_delay="1")
    wait_until(lambda: client.dlq.list().messages)
    first, last = [record.getMessage() for record in caplog.records]
    assert "failed (destination answered 500), attempt 1; next in" in first
    assert "failed for good (destination answered 500) after attempt 2" in last
    assert "secret" not in first + last


def test_489_with_its_header_stops_at_once(client: QStash, destination: HttpServer) -> None:
    stop = {"Upstash-NonRetryable-Error": "true"}
    destination.replies["/"] = Reply(489, headers=stop)
    client.message.publish(url=f"{destination.url}/")
    wait_until(lambda: client.dlq.list().messages)
    assert len(destination.received) == 1


def test_489_without_its_header_is_an_ordinary_failure(
    client: QStash, destination: HttpServer
) -> None:
    destination.replies["/"] = [Reply(489)]
    client.message.publish(url=f"{destination.url}/")
    destination.wait(2)


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "0"}, {"X-RateLimit-Reset": "10ms"}, {"X-RateLimit-Reset-Tokens": "0s"}],
)
def test_the_destination_says_when_to_come_back(
    destination: HttpServer, headers: dict[str, str]
) -> None:
    destination.replies["/"] = [Reply(429, headers=headers)]
    # By the expression it would wait ten minutes.
    with LocalQStash() as unhurried, connect(unhurried.url) as client:
        client.message.publish(url=f"{destination.url}/", retry_delay="600000")
        destination.wait(2)


def test_a_destination_that_does_not_answer_in_time_has_failed(
    client: QStash, destination: HttpServer
) -> None:
    held = threading.Event()
    destination.replies["/"] = Reply(hold=held)
    client.message.publish(url=f"{destination.url}/", timeout=1, retries=0)
    [letter] = wait_until(lambda: client.dlq.list().messages)
    held.set()
    [error] = [log.error for log in client.log.list().logs if log.state.value == "ERROR"]
    assert letter.response_status == 0
    assert error is not None
    assert "timed out" in error


def test_a_destination_that_is_not_there_has_failed(client: QStash) -> None:
    client.message.publish(url="http://127.0.0.1:1/", retries=0)
    [letter] = wait_until(lambda: client.dlq.list().messages)
    assert letter.response_status == 0


def test_a_callback_reports_every_attempt_and_is_signed(
    server: LocalQStash, client: QStash, destination: HttpServer
) -> None:
    destination.replies["/work"] = [Reply(500, b"first"), Reply(201, b"second")]
    callback = f"{destination.url}/callback"
    client.message.publish(
        url=f"{destination.url}/work",
        body="in",
        callback=callback,
        callback_headers={"Forward-X-Mine": "1"},
    )
    calls = destination.wait(2, "/callback")
    reports = [json.loads(call.body) for call in calls]
    assert [(r["status"], r["retried"]) for r in reports] == [(500, 0), (201, 1)]
    assert [b64decode(r["body"]) for r in reports] == [b"first", b"second"]
    assert b64decode(reports[0]["sourceBody"]) == b"in"
    assert calls[0].headers["x-mine"] == "1"
    Receiver(server.current_signing_key, server.next_signing_key).verify(
        signature=calls[0].headers["upstash-signature"], body=calls[0].body.decode(), url=callback
    )


def test_a_failure_callback_comes_once_and_names_the_dead_letter(
    client: QStash, destination: HttpServer
) -> None:
    destination.replies["/work"] = Reply(500)
    client.message.publish(
        url=f"{destination.url}/work", retries=1, failure_callback=f"{destination.url}/failed"
    )
    [call] = destination.wait(1, "/failed")
    [letter] = client.dlq.list().messages
    report = json.loads(call.body)
    assert report["dlqId"] == letter.dlq_id
    assert (report["retried"], report["maxRetries"]) == (1, 1)
    assert len(destination.at("/failed")) == 1


def test_a_hanging_destination_does_not_hold_up_another(
    client: QStash, destination: HttpServer
) -> None:
    held = threading.Event()
    with HttpServer() as hanging:
        hanging.replies["/"] = Reply(hold=held)
        for _ in range(5):
            client.message.publish(url=f"{hanging.url}/", retries=0)
        hanging.wait(5)
        client.message.publish(url=destination.url)
        destination.wait()
        held.set()


def test_a_mapped_origin_is_called_elsewhere_under_its_own_name(destination: HttpServer) -> None:
    url = "https://staging.example.com/hook?x=1"
    origins = {"https://staging.example.com": destination.url}
    with LocalQStash(origins=origins) as server, connect(server.url) as client:
        client.message.publish(url=url, body="b")
        [got] = destination.wait()
    assert (got.path, got.headers["host"]) == ("/hook?x=1", "staging.example.com")
    Receiver(server.current_signing_key, server.next_signing_key).verify(
        signature=got.headers["upstash-signature"], body="b", url=url
    )
