"""Bytes that are not UTF-8, text that is not ASCII, and numbers of any length, on their way in."""

import json
import socket
from base64 import b64decode
from typing import Any

import httpx
import pytest

from app.local_qstash.protocol.destinations import wire_url
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

JOSE = b"Jos\xe9"  # as fetch in Node sends it


def _send(http: httpx.Client, path: str, headers: dict[str, bytes]) -> httpx.Response:
    return http.post(path, headers=[(name.encode(), value) for name, value in headers.items()])


def _events(http: httpx.Client, query: str = "") -> list[dict[str, Any]]:
    answer = http.get(f"/v2/events?{query}")
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


@pytest.mark.parametrize("value", [JOSE, "José".encode()], ids=["latin-1", "utf-8"])
def test_fault_F1_a_header_in_either_encoding_is_the_same_text(
    http: httpx.Client, destination: HttpServer, value: bytes
) -> None:
    answer = _send(
        http,
        f"/v2/publish/{destination.url}",
        {"Upstash-Forward-X-Name": value, "Content-Type": b"text/plain; x=" + value,
         "Upstash-Label": value, "Upstash-Flow-Control-Key": value,
         "Upstash-Flow-Control-Value": b"parallelism=1", "Upstash-Deduplication-Id": value},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    [received] = destination.wait()
    # The standard library's server reads headers as Latin-1.
    assert received.headers["x-name"].encode("latin-1").decode() == "José"
    assert http.get("/v2/flowControl/José").json()["flowControlKey"] == "José"
    assert wait_until(lambda: _events(http, "label=José&state=DELIVERED"))[0]["label"] == "José"


@pytest.mark.parametrize("kind", ["Callback", "Failure-Callback"])
def test_fault_F1_a_callback_in_latin_1_neither_stops_its_queue_nor_is_lost(
    http: httpx.Client, destination: HttpServer, kind: str
) -> None:
    destination.replies["/one"] = Reply(200 if kind == "Callback" else 489)
    path = f"{destination.url}/fertig-für-dich".encode("latin-1")
    first = {f"Upstash-{kind}": path, "Upstash-Retries": b"0"}
    assert _send(http, f"/v2/enqueue/q/{destination.url}/one", first).status_code == 200
    assert http.post(f"/v2/enqueue/q/{destination.url}/two").status_code == 200

    destination.wait(1, "/two")
    destination.wait(1, "/fertig-f%C3%BCr-dich")
    wait_until(lambda: http.get("/v2/queues/q").json()["lag"] == 0)


@pytest.mark.parametrize("fields", [b"header", b"body, header[X-Name]"])
def test_fault_F1_lists_answer_whatever_is_in_them(http: httpx.Client, fields: bytes) -> None:
    headers = {"Upstash-Forward-X-Name": JOSE, "Upstash-Redact-Fields": fields}
    dead = {"Upstash-Retries": b"0"}
    _send(http, "/v2/publish/http://127.0.0.1:1", headers | dead)
    _send(http, "/v2/schedules/http://127.0.0.1:1", headers | {"Upstash-Cron": b"0 0 1 1 *"})
    wait_until(lambda: http.get("/v2/dlq").json()["messages"])

    for path in ("events", "logs", "dlq", "schedules"):
        answer = http.get(f"/v2/{path}")
        assert answer.status_code == 200, path
        assert "REDACTED" in answer.text, path


def test_fault_F1_what_a_destination_answers_in_latin_1_is_kept_as_text(
    http: httpx.Client, destination: HttpServer
) -> None:
    destination.replies["/"] = Reply(500, headers={"X-Why": "schön"})  # sent as Latin-1
    http.post(f"/v2/publish/{destination.url}/", headers={"Upstash-Retries": "0"})
    [letter] = wait_until(lambda: http.get("/v2/dlq").json()["messages"])
    assert letter["responseHeader"]["X-Why"] == ["schön"]


@pytest.mark.parametrize("path", [b"/v2/publish/http://h/\xe9", b"/v2/events?label=\xe9",
                                  b"/v2/messages/\xe9", b"/messages?url=\xe9"])  # fmt: skip
def test_fault_F1_a_url_that_is_not_ascii_is_refused_in_json_and_one_line(
    server: LocalQStash, caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    method = b"POST" if b"publish" in path else b"GET"
    request = b"%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request % (method, path, server.token.encode()))
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"application/json" in head
    assert "url" in json.loads(body)["error"]
    assert "Traceback" not in caplog.text
    assert server.token not in caplog.text


@pytest.mark.parametrize("kept", ["body", "label", "url"])
def test_fault_F1_half_an_emoji_in_json_is_replaced_as_go_does(
    http: httpx.Client, destination: HttpServer, kept: str
) -> None:
    text = "half \ud83d!"
    item = {
        "destination": f"{destination.url}/{text if kept == 'url' else ''}".replace(" ", "-"),
        "body": text if kept == "body" else "",
        "headers": {"Upstash-Label": text if kept == "label" else "x"},
    }
    answer = http.post("/v2/batch", content=json.dumps([item]))
    assert "messageId" in answer.json()[0]
    [received] = destination.wait()
    assert received.body.decode() == ("half \ufffd!" if kept == "body" else "")
    wait_until(lambda: _events(http, "state=DELIVERED"))


@pytest.mark.parametrize("value", ["a\x01b", "a\x7f", "a\nb", "a\0b"])
def test_fault_F1_a_control_character_in_a_header_is_refused(
    http: httpx.Client, value: str
) -> None:
    item = {"destination": "http://example.com", "headers": {"Upstash-Forward-X": value}}
    assert "control character" in http.post("/v2/batch", json=[item]).json()[0]["error"]


def test_fault_F1_a_query_parameter_that_is_not_utf_8_is_read_as_latin_1(
    http: httpx.Client, destination: HttpServer
) -> None:
    query = "upstash-label=M%FCller&upstash-forward-x-name=Jos%C3%A9"
    assert http.post(f"/v2/publish/{destination.url}?{query}").status_code == 200
    [received] = destination.wait()
    assert received.headers["x-name"].encode("latin-1").decode() == "José"
    assert wait_until(lambda: _events(http, "label=Müller"))


def test_fault_F3_a_compressed_body_goes_on_as_it_came(
    http: httpx.Client, destination: HttpServer
) -> None:
    for number, body in enumerate([b"\x1f\x8b no gzip at all", b"\x1f\x8b\x08" + b"\0" * 30], 1):
        answer = http.post(
            f"/v2/publish/{destination.url}",
            headers={"Content-Encoding": "gzip", "Upstash-Header-Forward": "true"},
            content=body,
        )
        assert answer.status_code == 200, answer.text
        received = destination.wait(number)[-1]
        assert received.body == body
        assert received.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("entry", ["batch", "group", "callback"])
def test_fault_F5_a_url_is_sent_in_ascii_and_shown_as_published(
    http: httpx.Client, destination: HttpServer, entry: str
) -> None:
    url = f"{destination.url}/ü?q=ß&kept=%2F"
    if entry == "batch":
        http.post("/v2/batch", json=[{"destination": url}])
    elif entry == "group":
        http.post("/v2/topics/g/endpoints", json={"endpoints": [{"url": url}]})
        http.post("/v2/publish/g")
    else:
        _send(http, f"/v2/publish/{destination.url}/x", {"Upstash-Callback": url.encode()})
    destination.wait(1, "/%C3%BC?q=%C3%9F&kept=%2F")
    wait_until(lambda: url in {event["url"] for event in _events(http, "state=DELIVERED")})


@pytest.mark.parametrize(
    ("published", "sent"),
    [
        ("http://ex%C3%A4mple.test/a", "http://xn--exmple-cua.test/a"),
        ("http://exämple.test:8080/ä", "http://xn--exmple-cua.test:8080/%C3%A4"),
        ("http://\uff2c\uff2fCALHOST/x", "http://localhost/x"),
        ("http://us%40er:p%C3%A4ss@h/%2f%20", "http://us%40er:p%C3%A4ss@h/%2f%20"),
        ("http://h/%zz?%", "http://h/%zz?%"),
        ("http://[::1]:80/é", "http://[::1]:80/%C3%A9"),
    ],
)
def test_fault_F5_only_what_is_not_ascii_is_encoded(published: str, sent: str) -> None:
    assert wire_url(published) == sent


@pytest.mark.parametrize("host", ["a%2Fb", "a%20b", "%00", "a%40b", "%E9"])
def test_fault_F5_a_host_that_hides_something_else_is_refused(
    http: httpx.Client, host: str
) -> None:
    answer = http.post(f"/v2/publish/http://{host}/")
    assert answer.status_code == 400, answer.text


LONG = "9" * 5_000


@pytest.mark.parametrize("path", ["events", "logs", "dlq"])
@pytest.mark.parametrize(
    "query", [f"cursor=1-{'9' * 23}", f"cursor=1-{LONG}", "cursor=1-²", "cursor=1-",
              f"count={LONG}", f"fromDate={LONG}", f"toDate={'9' * 19}", "count=²",
              "count=\u0661"]
)  # fmt: skip
def test_fault_F13_a_number_of_any_length_is_a_400(
    http: httpx.Client, path: str, query: str
) -> None:
    answer = http.get(f"/v2/{path}?{query}")
    assert answer.status_code == 400, answer.text
    assert query.partition("=")[0] in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Flow-Control-Value", f"rate={LONG}"),
        ("Flow-Control-Value", "parallelism=²"),
        ("Flow-Control-Value", f"rate=1, period={LONG}"),
        ("Retries", LONG),
        ("Retries", "²"),
        ("Not-Before", LONG),
        ("Delay", f"{LONG}s"),
        ("Delay", "1d" * 5000),
        ("Timeout", f"{LONG}d"),
        ("Callback-Retries", LONG),
        ("Callback-Timeout", "999999999999d"),
        ("Timeout", "99999999999m99999999999h"),
        ("Delay", "٣s"),
    ],
)
def test_fault_F13_numbers_in_headers_too(http: httpx.Client, name: str, value: str) -> None:
    headers = {"Upstash-Flow-Control-Key": b"k", "Upstash-Callback": b"http://127.0.0.1:1"}
    headers |= {f"Upstash-{name}": value.encode()}
    if "Flow" not in name:
        del headers["Upstash-Flow-Control-Key"]
    answer = _send(http, "/v2/publish/http://127.0.0.1:1", headers)
    assert answer.status_code == 400, answer.text
    assert name.rsplit("-", maxsplit=1)[-1] in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/queues", f'{{"queueName": "q", "parallelism": {LONG}}}'),
        ("POST", "/v2/queues", '{"queueName": "q", "parallelism": 1e999}'),
        ("POST", f"/v2/flowControl/k/pin?parallelism={LONG}", ""),
        ("POST", "/v2/flowControl/k/pin?rate=1&period=²", ""),
        ("PUT", "/local/faults", f'{{"faults": [], "seed": {LONG}}}'),
        ("GET", f"/?page={LONG}", ""),
        ("GET", f"/dead-letters?before=1-{LONG}", ""),
        ("GET", "/dead-letters?before=²-²", ""),
    ],
)
def test_fault_F13_numbers_elsewhere_too(
    http: httpx.Client, method: str, path: str, body: str
) -> None:
    answer = http.request(method, path, content=body)
    assert answer.status_code == 400 or path == f"/?page={LONG}", answer.text
    assert answer.status_code < 500


def test_fault_F19_a_callback_is_written_as_javascript_writes_json(
    http: httpx.Client, destination: HttpServer
) -> None:
    """Receivers that verify what they parsed write it anew first."""
    destination.replies["/"] = Reply(200, "ä".encode(), {"X-A": "ü"})
    headers = {"Upstash-Callback": f"{destination.url}/done".encode()}
    _send(http, f"/v2/publish/{destination.url}/", headers)
    [report] = destination.wait(1, "/done")
    value = json.loads(report.body)
    assert b64decode(value["body"]).decode() == "ä"
    assert report.body.decode() == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
