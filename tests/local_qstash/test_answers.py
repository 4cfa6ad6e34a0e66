"""Answers in every form of HTTP/1.1 and in none of them; and when a connection is kept."""

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from app.local_qstash.settings import Limits
from app.local_qstash.testing import LocalQStash
from tests.support.certificates import self_signed
from tests.support.waiting import wait_until

CHUNKED = b"HTTP/1.1 500 No\r\nTransfer-Encoding: Chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LARGE = b"a" * 5_000


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A server for all tests of this file, as none of them looks at what others published."""
    headers = {"Authorization": f"Bearer {LocalQStash.token}"}
    with LocalQStash() as server, httpx.Client(base_url=server.url, headers=headers) as client:
        yield client


class Destination:
    """Answers each request with the next of some bytes, which hold all of the answer.

    Attributes:
        connections: The numbers of the connections on which the requests came.
        heads: The heads of the requests.
    """

    def __init__(
        self, answers: list[bytes], *, hang_up: bool, tls: ssl.SSLContext | None = None
    ) -> None:
        self._answers, self._hang_up, self._tls = answers, hang_up, tls
        self.connections: list[int] = []
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), self._secured(connection) as secured:
            received = secured.makefile("rb")
            while head := _head(received):
                length = head.lower().partition("content-length: ")[2].partition("\r")[0]
                received.read(int(length))
                self.heads.append(head)
                self.connections.append(number)
                for piece in self._answers.pop(0).split(b"|"):
                    secured.sendall(piece)
                if self._hang_up:
                    return

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


@contextmanager
def answering(
    *answers: bytes, hang_up: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[Destination]:
    destination = Destination(list(answers), hang_up=hang_up, tls=tls)
    yield destination
    destination.close()


def _head(received: IO[bytes]) -> str:
    """Return the head of the next request, or an empty text at the end."""
    head = ""
    while (line := received.readline().decode()) not in ("", "\r\n"):
        head += line
    return head


def _deliver(http: httpx.Client, url: str, **headers: str) -> dict[str, Any]:
    """Publish what has one attempt, and return the log entry of its end, or of its error."""
    sent = http.post(f"/v2/publish/{url}", headers={"Upstash-Retries": "0"} | headers, content="b")
    query = f"/v2/events?messageId={sent.json()['messageId']}"

    def ended() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = http.get(query).json()["events"]
        return [event for event in events if event["state"] in ("DELIVERED", "ERROR")]

    return wait_until(ended)[0]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 500 |No\r\nContent-|Length: 5\r\n|\r|\nhel|lo", b"hello"),
        (b"HTTP/1.1 500 No\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 500\nConnection: x\n\nold", b"old"),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (
            CHUNKED + b"2;ext=1\r\nhe\r\n|3\r\nl|lo\r\n0\r\nTrailer: x\r\n\r\n",
            b"hello",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
            b"",
        ),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 500 No\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
def test_an_answer_is_read_in_whatever_form_and_pieces_it_comes(
    http: httpx.Client, answer: bytes, body: bytes
) -> None:
    with answering(answer, hang_up=True) as destination:
        event = _deliver(http, destination.url)
    assert event.get("responseStatus", 200) == int(answer.rpartition(b"HTTP/1.")[2][2:5])
    assert b64decode(event.get("responseBody", "")) == body


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed before the answer was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed before the answer was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "closed before the answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed before"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not HTTP/1.1: it begins with b'SSH"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed header: 'no colon"),
        (b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_001 + b"\r\n", "more than 1000 headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_200_000, "the head of the answer is longer than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length is not one number"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "Content-Length is not one number",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "'gzip' is not known"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "malformed chunk"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "longer than its size",
        ),
    ],
)
def test_what_is_no_answer_is_a_failed_attempt_and_its_log_says_why(
    http: httpx.Client, answer: bytes, problem: str
) -> None:
    with answering(answer, hang_up=True) as destination:
        event = _deliver(http, destination.url)
    assert event["state"] == "ERROR"
    assert problem in event["error"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n" + LARGE,
        b"HTTP/1.1 500 No\r\n\r\n" + LARGE,
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + LARGE + b"\r\n0\r\n\r\n",
    ],
)
def test_of_a_large_answer_the_first_bytes_are_kept(answer: bytes) -> None:
    headers = {"Authorization": f"Bearer {LocalQStash.token}"}
    with (
        LocalQStash(limits=Limits(response_bytes=1_000)) as server,
        httpx.Client(base_url=server.url, headers=headers) as http,
        answering(answer, OK) as destination,
    ):
        event = _deliver(http, destination.url)
        assert _deliver(http, destination.url)["state"] == "DELIVERED"
    assert b64decode(event["responseBody"]) == b"a" * 1_000
    assert destination.connections == [1, 2]


@pytest.mark.parametrize(
    ("first", "connections"),
    [
        (OK, [1, 1]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", [1, 1]),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", [1, 1]),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", [1, 2]),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", [1, 2]),
        (OK + b"more than was asked for", [1, 2]),
    ],
)
def test_a_connection_serves_the_next_delivery_where_that_is_safe(
    http: httpx.Client, first: bytes, connections: list[int]
) -> None:
    with answering(first, OK) as destination:
        for _ in range(2):
            assert _deliver(http, destination.url)["state"] == "DELIVERED"
        assert destination.connections == connections


def test_a_kept_connection_that_the_destination_has_closed_costs_no_attempt(
    http: httpx.Client,
) -> None:
    with answering(OK, OK, hang_up=True) as destination:
        for _ in range(2):
            assert _deliver(http, destination.url)["state"] == "DELIVERED"
        assert destination.connections == [1, 2]


def test_a_request_that_a_kept_connection_loses_is_not_sent_again(http: httpx.Client) -> None:
    with answering(OK, b"HTTP/1.1 2", OK) as destination:
        assert _deliver(http, destination.url)["state"] == "DELIVERED"
        answering_half = _deliver(http, destination.url, **{"Upstash-Timeout": "1s"})
        assert "timed out" in answering_half["error"]
        assert len(destination.heads) == 2


def test_an_account_in_the_url_and_its_port_are_sent(http: httpx.Client) -> None:
    with answering(OK) as destination:
        host = destination.url.removeprefix("http://")
        _deliver(http, f"http://us%40er:pass@{host}/a?b=c")
    [head] = destination.heads
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert f"\r\nHost: {host}\r\n" in head
    assert "\r\nAuthorization: Basic dXNAZXI6cGFzcw==\r\n" in head


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1", "cannot connect to 127.0.0.1:1: "),
        ("http://nowhere.invalid", "cannot connect to nowhere.invalid:80: "),
    ],
)
def test_a_destination_that_cannot_be_reached_is_named(
    http: httpx.Client, url: str, problem: str
) -> None:
    assert problem in _deliver(http, url)["error"]


def test_over_tls_only_a_destination_that_somebody_vouches_for_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, tls = self_signed(tmp_path)
    headers = {"Authorization": f"Bearer {LocalQStash.token}"}
    with answering(OK, OK, tls=tls) as destination:
        for trusting in (False, True):
            if trusting:
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            with (
                LocalQStash() as server,
                httpx.Client(base_url=server.url, headers=headers) as http,
            ):
                events = [_deliver(http, destination.url) for _ in range(1 + trusting)]
            if trusting:
                assert [event["state"] for event in events] == ["DELIVERED"] * 2
            else:
                assert "certificate verify failed" in events[0]["error"]
    assert len(set(destination.connections)) == 1
