"""A real HTTP server that records what it is sent and answers as a test tells it to."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeVar

_T = TypeVar("_T")
PATIENCE = 15.0  # seconds before a condition that does not come true fails its test


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None  # answer only when this is set


class Destination:
    """Answers 200 unless `replies` has something for the path: one reply, or a list to use up."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: dict[str, Reply | list[Reply]] = {}
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

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

    def _reply(self, received: Received) -> Reply:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            reply = self.replies.get(received.path.partition("?")[0], Reply())
            if isinstance(reply, list):
                reply = reply.pop(0) if reply else Reply()
        if reply.hold is not None:
            reply.hold.wait(PATIENCE)
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        destination = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # as when a server is stopped in mid-delivery
                    super().handle()

            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(size)
                self._send(destination._reply(Received(self.command, self.path, headers, body)))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - its names

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_args: object) -> None:
                pass

        return Handler


def eventually(look: Callable[[], _T]) -> _T:
    """Return the first true value of `look`; for state that no request announces."""
    deadline = time.monotonic() + PATIENCE
    while not (value := look()):
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)
    return value
