"""Publishing over raw HTTP: paths, query configuration, duplicates, URL groups."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from qstash import QStash

from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer


@pytest.mark.parametrize(
    "tail",
    ["/a/b?x=1&y=2", "//double//slash", "/%2F%20+?q=%20+%2F", "/?", "?only=query", "/a?x=1?y=2",
     "/%zz", "/dot/../dot/./x", "/a;b=c,d@e:f"],
)  # fmt: skip
def test_the_destination_is_the_raw_rest_of_the_path(server: LocalQStash, tail: str) -> None:
    """It must round-trip exactly: it becomes `url` everywhere and the signature's subject."""
    destination = f"http://127.0.0.1:1{tail}"
    assert _raw_publish(server, destination)["url"] == destination


def _raw_publish(server: LocalQStash, destination: str) -> dict[str, str]:
    """Publish with a request line that no client library has tidied up."""
    port = int(server.url.rpartition(":")[2])
    head = (
        f"POST /v2/publish/{destination} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    result: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return result


def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(server: LocalQStash) -> None:
    port = int(server.url.rpartition(":")[2])
    head = (
        "POST /v2/publish/http://127.0.0.1:1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        f"Authorization: Bearer {server.token}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"body")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_options_may_come_as_query_parameters_and_leave_the_destination_alone(
    http: httpx.Client, destination: HttpServer
) -> None:
    query = "a=1&upstash-retries=7&upstash-delay=1d&b=%2F&upstash-label=x"
    sent = http.post(f"/v2/publish/{destination.url}/p?{query}").json()
    assert sent["url"] == f"{destination.url}/p?a=1&b=%2F"
    got = http.get(f"/v2/messages/{sent['messageId']}").json()
    assert (got["maxRetries"], got["label"]) == (7, "x")
    assert got["notBefore"] > got["createdAt"]


def test_the_token_may_come_as_a_query_parameter_and_goes_no_further(
    server: LocalQStash, destination: HttpServer
) -> None:
    url = f"{server.url}/v2/publish/{destination.url}/p?x=1&qstash_token={server.token}"
    assert httpx.post(url, verify=False).json()["url"] == f"{destination.url}/p?x=1"  # noqa: S501
    assert destination.wait()[0].path == "/p?x=1"


def test_a_duplicate_gets_the_first_ones_id_and_is_not_delivered(
    http: httpx.Client, destination: HttpServer
) -> None:
    headers = {"Upstash-Deduplication-Id": "once"}
    first, again = (
        http.post(f"/v2/publish/{destination.url}/{n}", headers=headers) for n in (1, 2)
    )
    assert (first.status_code, again.status_code) == (200, 202)
    assert "deduplicated" not in first.json()
    assert again.json()["deduplicated"] is True
    assert again.json()["messageId"] == first.json()["messageId"]
    http.post(f"/v2/publish/{destination.url}/last")
    destination.wait(1, "/last")
    assert not destination.at("/2")


def test_a_hundred_duplicates_at_once_make_one_message(
    server: LocalQStash, destination: HttpServer
) -> None:
    headers = {"Authorization": f"Bearer {server.token}", "Upstash-Deduplication-Id": "once"}
    with (
        httpx.Client(base_url=server.url, headers=headers, verify=False) as http,  # noqa: S501
        ThreadPoolExecutor(20) as pool,
    ):
        answers = list(
            pool.map(lambda _: http.post(f"/v2/publish/{destination.url}").json(), range(100))
        )
    assert len({answer["messageId"] for answer in answers}) == 1
    assert sum("deduplicated" not in answer for answer in answers) == 1


def test_duplicates_within_one_batch_are_found(http: httpx.Client) -> None:
    item = {
        "destination": "http://127.0.0.1:1",
        "headers": {"Upstash-Deduplication-Id": "x", "Upstash-Delay": "1h"},
    }
    one, two = http.post("/v2/batch", json=[item, item]).json()
    assert (one["messageId"], two["deduplicated"]) == (two["messageId"], True)


def test_content_based_deduplication_looks_at_url_body_and_headers(client: QStash) -> None:
    def publish(url: str = "http://127.0.0.1:1", body: str = "b", header: str = "h") -> bool:
        sent = client.message.publish(
            url=url, body=body, headers={"X": header}, content_based_deduplication=True, delay="1h"
        )
        return sent.deduplicated  # type: ignore[union-attr]

    assert [publish(), publish()] == [False, True]
    assert [publish("http://127.0.0.1:2"), publish(body="c"), publish(header="i")] == [False] * 3


def test_a_group_gets_a_message_for_each_endpoint_and_its_default_headers(
    client: QStash, http: httpx.Client, destination: HttpServer
) -> None:
    endpoints = [{"url": f"{destination.url}/a", "name": "first"}, {"url": f"{destination.url}/b"}]
    client.url_group.upsert_endpoints("g", endpoints)  # type: ignore[arg-type]
    http.patch("/v2/topics/g", json={"headers": {"Upstash-Forward-X-Team": "blue"}})
    sent = http.post("/v2/publish/g").json()
    assert [one["url"] for one in sent] == [one["url"] for one in endpoints]
    assert {got.headers["x-team"] for got in destination.wait(2)} == {"blue"}
    assert client.message.get(sent[0]["messageId"]).endpoint == "first"


def test_a_group_can_be_enqueued_to(http: httpx.Client, destination: HttpServer) -> None:
    endpoints = [{"url": f"{destination.url}/{name}"} for name in "ab"]
    http.post("/v2/topics/g/endpoints", json={"endpoints": endpoints})
    sent = http.post("/v2/enqueue/q/g", content=b"body").json()
    assert len(sent) == 2
    assert [got.path for got in destination.wait(2)] == ["/a", "/b"]


def test_a_group_decides_on_duplicates_per_endpoint(client: QStash) -> None:
    url = "http://127.0.0.1:1"
    client.url_group.upsert_endpoints("g", [{"url": f"{url}/a"}])
    options: dict[str, Any] = {"url_group": "g", "deduplication_id": "x", "delay": "1h"}
    client.message.publish(**options)
    client.url_group.upsert_endpoints("g", [{"url": f"{url}/b"}])
    again: Any = client.message.publish(**options)
    assert [one.deduplicated for one in again] == [True, False]


def test_a_full_disk_refuses_and_keeps_nothing(
    http: httpx.Client, server: LocalQStash, destination: HttpServer
) -> None:
    headers = {"Upstash-Deduplication-Id": "x"}
    connection = server.server.services.store._connection
    [[pages]] = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    body = b"x" * 100_000
    refused = http.post(f"/v2/publish/{destination.url}/", headers=headers, content=body)
    assert refused.status_code == 500
    assert "full" in refused.json()["error"]
    connection.execute("PRAGMA max_page_count = 1000000")
    accepted = http.post(f"/v2/publish/{destination.url}/", headers=headers, content=body)
    assert "deduplicated" not in accepted.json()
    assert len(destination.wait()) == 1
