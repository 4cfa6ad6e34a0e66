"""Requests that are refused: with QStash's status, its error shape, and nothing stored."""

import json
from collections.abc import Iterator

import httpx
import pytest

from app.local_qstash.settings import Limits
from app.local_qstash.testing import LocalQStash

URL = "http://example.com/hook"


@pytest.fixture
def server() -> Iterator[LocalQStash]:
    limits = Limits(message_bytes=1000, batch_bytes=5000)
    with LocalQStash(limits=limits) as running:
        yield running


def _refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    for word in words:
        assert word in answer.json()["error"]


def _nothing_stored(http: httpx.Client) -> None:
    assert http.get("/v2/events").json()["events"] == []
    assert http.get("/v2/schedules").json() == []
    assert http.get("/v2/queues").json() == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "x"}])
def test_no_endpoint_answers_without_the_token(
    server: LocalQStash, headers: dict[str, str]
) -> None:
    for path in ("/v2/keys", "/v2/events", "/v2/nothing", "/nothing"):
        answer = httpx.get(f"{server.url}{path}", headers=headers)
        _refused(answer, 401, "unable to authenticate: invalid token")


@pytest.mark.parametrize(
    ("destination", "word"),
    [
        ("example.com", "add http:// or https://"),
        ("ftp://example.com", "add http:// or https://"),
        ("https:/example.com", "add http:// or https://"),
        ("https%3A%2F%2Fexample.com", "add http:// or https://"),
        ("no-such-group", "add http:// or https://"),
        ("http://", "no valid host"),
        ("http://host:99999/", "Port out of range"),
        ("http://host:0/", "no valid host or port"),
        ("http://[::1/", "Invalid IPv6"),
    ],
)
def test_a_malformed_destination_is_refused(
    http: httpx.Client, destination: str, word: str
) -> None:
    _refused(http.post(f"/v2/publish/{destination}"), 400, "invalid destination url", word)
    _refused(http.post(f"/v2/enqueue/q/{destination}"), 400, word)
    _nothing_stored(http)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("Delay", "soon", "invalid duration 'soon'"),
        ("Delay", "10", "invalid duration"),
        ("Delay", "-5s", "invalid duration"),
        ("Delay", "366d", "quota maxDelay exceeded"),
        ("Not-Before", "tomorrow", "non-negative integer"),
        ("Not-Before", "99999999999", "quota maxDelay exceeded"),
        ("Timeout", "1 fortnight", "invalid duration"),
        ("Retries", "-1", "non-negative integer"),
        ("Retries", "many", "non-negative integer"),
        ("Retries", "101", "quota maxRetries exceeded"),
        ("Retries", "9" * 40, "non-negative integer"),
        ("Method", "BREW", "'BREW' is not one of"),
        ("Retry-Delay", "retried +", "it ends too early"),
        ("Retry-Delay", "__import__('os')", "unexpected '__import__'"),
        ("Retry-Delay", "pow(2)", "pow takes 2"),
        ("Deduplication-Id", "a:b", "DeduplicationId cannot contain ':'"),
        ("Content-Based-Deduplication", "maybe", "expected true or false"),
        ("Callback", "example.com", "Upstash-Callback: endpoint has invalid scheme"),
        ("Failure-Callback", "nowhere", "Upstash-Failure-Callback"),
        ("Flow-Control-Key", "k", "must be set together"),
        ("Flow-Control-Value", "rate=1", "must be set together"),
        ("Redact-Fields", "everything", "unknown field 'everything'"),
    ],
)
def test_a_bad_option_is_refused_by_name(
    http: httpx.Client, name: str, value: str, word: str
) -> None:
    headers = {f"Upstash-{name}": value}
    _refused(http.post(f"/v2/publish/{URL}", headers=headers), 400, word)
    _refused(
        http.post(f"/v2/schedules/{URL}", headers=headers | {"Upstash-Cron": "* * * * *"}), 400
    )
    _nothing_stored(http)


@pytest.mark.parametrize(
    "value", ["rate", "rate=0", "rate=x", "speed=3", "period=2s", "rate=1, period=8d", ","]
)
def test_a_bad_flow_control_value_is_refused(http: httpx.Client, value: str) -> None:
    headers = {"Upstash-Flow-Control-Key": "k", "Upstash-Flow-Control-Value": value}
    _refused(http.post(f"/v2/publish/{URL}", headers=headers), 400, "Upstash-Flow-Control-Value")
    assert http.get("/v2/flowControl").json() == []


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("* * * * * *", "expected exactly 5 fields, found 6"),
        ("61 * * * *", "Bad minute"),
        ("* * 0 * *", "Bad day-of-month"),
        ("* * * JUX *", "Bad month"),
        ("* * * * 7", "Bad day-of-week"),
        ("* * L * *", "Bad day-of-month"),
        ("0 0 30 2 *", "it does not fire within the next five years"),
        ("@fortnightly", "unrecognized descriptor"),
        ("CRON_TZ=Mars/Olympus 0 0 * * *", "unknown time zone 'Mars/Olympus'"),
        ("CRON_TZ=../../etc/passwd 0 0 * * *", "unknown time zone"),
    ],
)
def test_a_bad_cron_is_refused_with_what_is_wrong_in_it(
    http: httpx.Client, cron: str, word: str
) -> None:
    answer = http.post(f"/v2/schedules/{URL}", headers={"Upstash-Cron": cron})
    _refused(answer, 400, "Invalid cron expression", word)
    _nothing_stored(http)


def test_a_body_over_the_limit_is_refused(http: httpx.Client) -> None:
    _refused(http.post(f"/v2/publish/{URL}", content=b"x" * 1001), 413, "1000 bytes")

    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 600 for _ in range(2))

    _refused(http.post(f"/v2/publish/{URL}", content=chunks()), 413, "1000 bytes")
    _refused(http.post("/v2/batch", content=b"x" * 5001), 413, "5000 bytes")
    _nothing_stored(http)


@pytest.mark.parametrize("body", ["", "{", "{}", '"x"', "[" * 5000])
def test_a_malformed_batch_is_refused_as_a_whole(http: httpx.Client, body: str) -> None:
    _refused(http.post("/v2/batch", content=body), 400)
    _nothing_stored(http)


def test_a_bad_item_of_a_batch_gets_an_error_in_its_slot_and_the_rest_go(
    http: httpx.Client,
) -> None:
    bad = [
        7,
        {},
        {"destination": "nowhere"},
        {"destination": URL, "body": 3},
        {"destination": URL, "headers": []},
        {"destination": URL, "queue": "a/b"},
        {"destination": URL, "headers": {"Upstash-Delay": "soon"}},
        {"destination": URL, "headers": {"Upstash-Forward-X": "a\r\nHost: b"}},
        {"destination": URL, "headers": {"Upstash-Forward-X Y": "a"}},
        {"destination": URL, "body": "x" * 1001},
    ]
    good = {"destination": URL, "headers": None, "body": None, "queue": None}
    answer = http.post("/v2/batch", content=json.dumps([*bad, good]))
    assert answer.status_code == 200
    *errors, sent = answer.json()
    assert [list(error) for error in errors] == [["error"]] * len(bad)
    assert sent["messageId"].startswith("msg_")
    assert len(http.get("/v2/events?state=CREATED").json()["events"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "messages/msg_unknown"),
        ("DELETE", "messages/msg_unknown"),
        ("POST", "messages/msg_unknown/retry"),
        ("GET", "dlq/1-1"),
        ("DELETE", "dlq/1-1"),
        ("POST", "dlq/retry/1-1"),
        ("GET", "queues/unknown"),
        ("POST", "queues/unknown/pause"),
        ("GET", "schedules/scd_unknown"),
        ("DELETE", "schedules/scd_unknown"),
        ("PATCH", "schedules/scd_unknown/pause"),
        ("POST", "schedules/scd_unknown/resume"),
        ("GET", "topics/unknown"),
        ("GET", "flowControl/unknown"),
        ("GET", "nothing"),
        ("POST", "workflows/runs"),
    ],
)
def test_what_is_unknown_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    _refused(http.request(method, f"/v2/{path}"), 404)


def test_endpoints_that_are_out_of_scope_say_so(http: httpx.Client) -> None:
    for path, word in {
        "/v2/workflows/logs": "not part of the local QStash server",
        "/v2/bulkActions/1": "a bulk cancel is over when it is answered",
        "/llm/v1/chat/completions": "publish to a provider's own URL",
    }.items():
        _refused(http.get(path), 404, path, word)


def test_a_wrong_method_is_told_apart_from_a_wrong_path(http: httpx.Client) -> None:
    _refused(http.get(f"/v2/publish/{URL}"), 405, "GET is not allowed")


@pytest.mark.parametrize(
    "query",
    ["count=0", "count=1001", "count=x", "cursor=zzz", "state=LOST", "fromDate=now", "label=",
     "colour=red"],
)  # fmt: skip
def test_a_bad_filter_is_refused_rather_than_ignored(http: httpx.Client, query: str) -> None:
    _refused(http.get(f"/v2/events?{query}"), 400, query.split("=", maxsplit=1)[0])


@pytest.mark.parametrize("query", ["messageIds=", "label=", "count=501", "unknown=1"])
def test_a_bad_selection_cancels_nothing(http: httpx.Client, query: str) -> None:
    http.post(f"/v2/publish/{URL}", headers={"Upstash-Delay": "1d"})
    _refused(http.delete(f"/v2/messages?{query}"), 400)
    assert http.delete("/v2/messages").json() == {"cancelled": 1}


@pytest.mark.parametrize(
    "body",
    ["{", "[]", "{}", '{"queueName": "a b"}', '{"queueName": "a", "parallelism": 0}',
     '{"queueName": "a", "parallelism": true}', '{"queueName": "a", "paused": "no"}'],
)  # fmt: skip
def test_a_bad_queue_is_refused(http: httpx.Client, body: str) -> None:
    _refused(http.post("/v2/queues", content=body), 400)
    _nothing_stored(http)


@pytest.mark.parametrize(
    "body", ["", "{}", '{"endpoints": []}', '{"endpoints": [{}]}', '{"endpoints": [{"name": "n"}]}',
             '{"endpoints": [{"url": "nowhere"}]}', '{"endpoints": [7]}']
)  # fmt: skip
def test_bad_endpoints_are_refused(http: httpx.Client, body: str) -> None:
    _refused(http.post("/v2/topics/g/endpoints", content=body), 400)
    assert http.get("/v2/topics").json() == []
