"""Request headers whose effect no other file shows: times, callbacks' own options, telemetry."""

import json
import threading
import time

import httpx
import pytest

from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

NOWHERE = "http://127.0.0.1:1"
CALLBACKS = pytest.mark.parametrize("kind", ["Upstash-Callback", "Upstash-Failure-Callback"])


def test_not_before_is_a_unix_time_in_seconds_and_overrides_the_delay() -> None:
    moment = int(time.time()) + 3600
    with LocalQStash() as server:
        headers = {
            "Authorization": f"Bearer {server.token}",
            "Upstash-Not-Before": str(moment),
            "Upstash-Delay": "2d",
        }
        sent = httpx.post(f"{server.url}/v2/publish/{NOWHERE}", headers=headers).json()
        got = httpx.get(f"{server.url}/v2/messages/{sent['messageId']}", headers=headers).json()
    # The wait starts a little after it has been computed.
    assert abs(got["notBefore"] - moment * 1000) < 1000


def test_a_time_that_is_past_is_now(http: httpx.Client, destination: HttpServer) -> None:
    headers = {"Upstash-Not-Before": "1700000000", "Upstash-Delay": "2d"}
    http.post(f"/v2/publish/{destination.url}", headers=headers)
    destination.wait()


def test_header_names_are_read_in_any_case(http: httpx.Client) -> None:
    headers = {"uPSTASH-dELAY": "1d", "upstash-retries": "7", "UPSTASH-LABEL": "x"}
    sent = http.post(f"/v2/publish/{NOWHERE}", headers=headers).json()
    got = http.get(f"/v2/messages/{sent['messageId']}").json()
    assert (got["maxRetries"], got["label"]) == (7, "x")


def test_telemetry_is_neither_kept_nor_delivered(
    http: httpx.Client, destination: HttpServer
) -> None:
    headers = {"Upstash-Telemetry-Sdk": "some-sdk", "Upstash-Telemetry-Runtime": "some-runtime"}
    headers["Upstash-Header-Forward"] = "true"
    http.post(f"/v2/publish/{destination.url}", headers=headers)
    [got] = destination.wait()
    assert not {"some-sdk", "some-runtime"} & set(got.headers.values())
    assert "some-sdk" not in http.get("/v2/events").text


def _fail(http: httpx.Client, destination: HttpServer, kind: str, **options: str) -> None:
    """Publish what fails at its only attempt, with a callback to /callback and its options."""
    destination.replies["/"] = Reply(500)
    headers = {"Upstash-Retries": "0", kind: f"{destination.url}/callback"}
    headers |= {f"{kind}-{name.replace('_', '-')}": value for name, value in options.items()}
    http.post(f"/v2/publish/{destination.url}/", headers=headers)


@CALLBACKS
def test_a_callback_has_a_method_and_headers_of_its_own(
    http: httpx.Client, destination: HttpServer, kind: str
) -> None:
    _fail(http, destination, kind, Method="PUT", Forward_X_Mine="1")
    [call] = destination.wait(1, "/callback")
    assert (call.method, call.headers["x-mine"]) == ("PUT", "1")
    assert call.headers["content-type"] == "application/json"
    assert json.loads(call.body)["status"] == 500


@CALLBACKS
def test_a_callback_has_retries_and_a_retry_delay_of_its_own(
    destination: HttpServer, kind: str
) -> None:
    destination.replies["/callback"] = Reply(503)
    with LocalQStash() as unhurried:  # whose default backoff would take twelve seconds
        headers = {"Authorization": f"Bearer {unhurried.token}"}
        with httpx.Client(base_url=unhurried.url, headers=headers) as http:
            _fail(http, destination, kind, Retries="1", Retry_Delay="1")
            [letter] = wait_until(lambda: _letters(http, f"{destination.url}/callback"))
    calls = destination.at("/callback")
    assert [call.headers["upstash-retried"] for call in calls] == ["0", "1"]
    assert (letter["maxRetries"], letter["retryDelayExpression"]) == (1, "1")


@CALLBACKS
def test_a_callback_without_retries_of_its_own_has_those_of_its_original(
    http: httpx.Client, destination: HttpServer, kind: str
) -> None:
    destination.replies["/callback"] = Reply(503)
    _fail(http, destination, kind)
    [letter] = wait_until(lambda: _letters(http, f"{destination.url}/callback"))
    assert letter["maxRetries"] == 0


@CALLBACKS
def test_a_callback_has_a_timeout_of_its_own(
    http: httpx.Client, destination: HttpServer, kind: str
) -> None:
    held = threading.Event()
    destination.replies["/callback"] = Reply(hold=held)
    _fail(http, destination, kind, Timeout="1s")
    wait_until(lambda: _letters(http, f"{destination.url}/callback"))
    held.set()
    [error] = http.get(f"/v2/events?state=ERROR&url={destination.url}/callback").json()["events"]
    assert "limit 1s" in error["error"]


@CALLBACKS
def test_a_callback_cannot_be_delayed(http: httpx.Client, kind: str) -> None:
    headers = {kind: NOWHERE, f"{kind}-Delay": "5s"}
    refused = http.post(f"/v2/publish/{NOWHERE}", headers=headers)
    assert refused.status_code == 400
    assert refused.json() == {"error": f"{kind}-Delay: callbacks cannot be delayed"}
    assert http.get("/v2/events").json()["events"] == []


def _letters(http: httpx.Client, url: str) -> list[dict[str, object]]:
    letters: list[dict[str, object]] = http.get(f"/v2/dlq?url={url}").json()["messages"]
    return letters


def test_a_groups_default_headers_count_like_those_of_a_publish(http: httpx.Client) -> None:
    http.post("/v2/topics/g/endpoints", json={"endpoints": [{"url": NOWHERE}]})
    http.patch("/v2/topics/g", json={"headers": {"Upstash-Delay": "1d", "Upstash-Retries": ["7"]}})
    [sent] = http.post("/v2/publish/g", headers={"Upstash-Retries": "8"}).json()
    got = http.get(f"/v2/messages/{sent['messageId']}").json()
    assert got["notBefore"] > got["createdAt"]
    assert got["maxRetries"] == 8


@pytest.mark.parametrize("headers", [{"Upstash-Forward-X": "a\nb"}, {"X Y": "a"}, {"X": 1}, []])
def test_a_groups_bad_default_headers_are_refused(http: httpx.Client, headers: object) -> None:
    http.post("/v2/topics/g/endpoints", json={"endpoints": [{"url": NOWHERE}]})
    assert http.patch("/v2/topics/g", json={"headers": headers}).status_code == 400
    assert "headers" not in http.get("/v2/topics/g").json()
