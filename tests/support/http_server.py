"""Real HTTP servers: one that answers as a test tells it to, and one for an app."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from flask import Flask
from werkzeug.serving import make_server

PATIENCE = 15.0  # seconds before a request that does not come fails its test


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None  # answer only when this is set


class HttpServer:
    """Keeps what it is sent; answers as `replies` say for a path, and else as `reply` says.

    A path has one reply, or a list to use up.
    """

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or Reply()
        self.replies: dict[str, Reply | list[Reply]] = {}
        self.received: list[Received] = []
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.received]

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.received]

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def wait(self, count: int = 1, path: str | None = None) -> list[Received]:
        """Return the first `count` requests, to `path` if given, when they have come."""

        def found() -> list[Received]:
            return self.at(path) if path else self.received

        with self._changed:
            came = self._changed.wait_for(lambda: len(found()) >= count, PATIENCE)
        assert came, f"expected {count} requests, got {found()}"
        return found()[:count]

    def answer(self, received: Received) -> Reply:
        """Keep a request and return what to answer."""
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            reply = self.reply_to(received)
        if reply.hold is not None:
            reply.hold.wait(PATIENCE)
        return reply

    def reply_to(self, received: Received) -> Reply:
        reply = self.replies.get(received.path.partition("?")[0], self.reply)
        if isinstance(reply, list):
            return reply.pop(0) if reply else self.reply
        return reply


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # as when a server is stopped in mid-delivery
                super().handle()

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._send(server.answer(Received(self.command, self.path, headers, body)))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - its names

        def _send(self, reply: Reply) -> None:
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def serving(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve an app in threads of this process; yield its address."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
