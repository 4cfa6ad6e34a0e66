"""Connections to QStash are kept open, and what goes wrong with one loses no publish."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import qstash as sdk

from app.jobs import PublishUnavailable
from app.jobs.message import Message
from app.jobs.publish import connections
from app.jobs.publish.connections import needs_a_proxy
from app.jobs.publish.qstash import Publisher
from tests.support.certificates import self_signed

MESSAGE = Message(
    job_id="j", job_type="sample", endpoint="/api/jobs/sample", body="{}", options={"retries": 3}
)


class QStash(BaseHTTPRequestHandler):
    """Takes every message, over connections that it counts, for as long as it likes."""

    protocol_version = "HTTP/1.1"
    connected: ClassVar[list[socket.socket]] = []
    paths: ClassVar[list[str]] = []
    #: Whether it hangs up after an answer, without having said so in it.
    hangs_up: ClassVar[bool] = False

    def setup(self) -> None:
        super().setup()
        self.connected.append(self.connection)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.paths.append(self.path)
        body = b'{"messageId": "msg_1", "scheduleId": "scd_1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.hangs_up

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), QStash)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def publisher(url: str) -> Iterator[Publisher]:
    made = Publisher(url=url, token="t", base_url="https://app.example.com", budget=5)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def nothing_yet() -> None:
    QStash.connected.clear()
    QStash.paths.clear()
    QStash.hangs_up = False


@pytest.fixture
def qstash() -> Iterator[Publisher]:
    with served() as port, publisher(f"http://127.0.0.1:{port}") as made:
        yield made


def test_all_publishes_go_over_one_connection(qstash: Publisher) -> None:
    ids = [qstash.publish(MESSAGE) for _ in range(3)]

    assert (ids, len(QStash.connected)) == (["msg_1"] * 3, 1)
    assert set(QStash.paths) == {"/v2/publish/https://app.example.com/api/jobs/sample"}


def test_a_connection_that_qstash_closed_meanwhile_loses_no_publish(qstash: Publisher) -> None:
    QStash.hangs_up = True

    assert [qstash.publish(MESSAGE) for _ in range(3)] == ["msg_1"] * 3
    assert len(QStash.connected) == 3


def test_what_a_server_says_as_it_hangs_up_answers_no_publish(qstash: Publisher) -> None:
    """Else a job would be dead for a message that nobody has refused."""
    qstash.publish(MESSAGE)
    QStash.connected[0].sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    QStash.connected[0].shutdown(socket.SHUT_WR)

    assert qstash.publish(MESSAGE) == "msg_1"
    assert len(QStash.connected) == 2


def test_a_connection_unused_for_long_is_replaced(
    qstash: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firewalls on the way may have forgotten it without a word."""
    monkeypatch.setattr(connections, "IDLE", 0)

    qstash.publish(MESSAGE)
    qstash.publish(MESSAGE)

    assert len(QStash.connected) == 2


def test_after_the_end_no_connection_is_kept(qstash: Publisher) -> None:
    """As that of a thread which was still publishing then."""
    qstash.publish(MESSAGE)
    qstash.close()

    qstash.publish(MESSAGE)
    qstash.publish(MESSAGE)

    assert len(QStash.connected) == 3


def test_a_forked_process_has_connections_of_its_own(qstash: Publisher) -> None:
    """On its parent's, each would read the other's answers."""
    qstash.publish(MESSAGE)
    child = os.fork()
    if child == 0:
        os._exit(qstash.publish(MESSAGE) != "msg_1")

    assert os.waitpid(child, 0)[1] == 0
    assert len(QStash.connected) == 2


def test_a_server_that_hangs_up_without_an_answer_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with (
            publisher(f"http://127.0.0.1:{server.getsockname()[1]}") as made,
            pytest.raises(PublishUnavailable, match="cannot be reached") as caught,
        ):
            made.publish(MESSAGE)

    assert caught.value.is_outage


def test_a_name_that_no_request_line_can_hold_is_escaped(qstash: Publisher) -> None:
    qstash.call(lambda sdk: sdk.queue.upsert("zwölf uhr"))
    qstash.call(lambda sdk: sdk.message.enqueue(queue="zwölf uhr", url="https://a.example"))

    assert QStash.paths[-1] == "/v2/enqueue/zw%C3%B6lf%20uhr/https://a.example"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"HTTPS_PROXY": "http://proxy:3128"}, True),
        ({"ALL_PROXY": "http://proxy:3128"}, True),
        ({"HTTP_PROXY": "http://proxy:3128"}, False),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "upstash.io"}, False),
    ],
)
def test_behind_a_proxy_the_sdks_own_client_is_used(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, expected: bool
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert needs_a_proxy("https://qstash.upstash.io") is expected


def test_over_tls_only_a_trusted_server_is_told_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, tls = self_signed(tmp_path)
    with served(tls) as port:
        url = f"https://127.0.0.1:{port}"
        with publisher(url) as distrustful, pytest.raises(PublishUnavailable, match="certificate"):
            distrustful.publish(MESSAGE)
        assert QStash.paths == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with publisher(url) as trusting:
            assert [trusting.publish(MESSAGE) for _ in range(2)] == ["msg_1"] * 2

    assert len(QStash.paths) == 2


def test_certificates_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, tls = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    loaded: list[object] = []
    load = ssl.create_default_context

    def noted(**options: Any) -> ssl.SSLContext:
        loaded.append(options)
        return load(**options)

    monkeypatch.setattr(ssl, "create_default_context", noted)
    with served(tls) as port, publisher(f"https://127.0.0.1:{port}") as publishing:
        publishing.publish(MESSAGE)

    assert len(loaded) == 1


def test_the_first_publishes_of_several_threads_share_a_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    both = threading.Barrier(2)

    class Slow(sdk.QStash):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(self)
            with suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # for another that is made beside it
            super().__init__(*args, **options)

    monkeypatch.setattr(sdk, "QStash", Slow)
    with served() as port, publisher(f"http://127.0.0.1:{port}") as publishing:
        threads = [threading.Thread(target=publishing.publish, args=(MESSAGE,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(QStash.paths) == 2
    assert len(made) == 1
