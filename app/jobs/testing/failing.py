"""A QStash that fails in each way in which it can: over real HTTP, through the real SDK."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self, get_args

Way = Literal["refused", "limited", "broken", "away"]
#: Every way to fail: 400, 429 and 503, and a connection that ends without an answer.
WAYS: tuple[Way, ...] = get_args(Way)

_STATUSES: dict[Way, int] = {"refused": 400, "limited": 429, "broken": 503}
_WORDS: dict[Way, str] = {
    "refused": "this QStash refuses every message",
    "limited": "this QStash takes no more messages for now",
    "broken": "this QStash is broken",
}


class FailingQStash:
    """A server that takes no message; `recover` has it take all, without delivering any.

    Attributes:
        way: How it fails; None once it has recovered. May be set at any time.
        requests: The paths that were asked for, in order.
    """

    def __init__(self, way: Way | None) -> None:
        self.way = way
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def recover(self) -> None:
        """Take messages from now on."""
        self.way = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(qstash: FailingQStash) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            qstash.requests.append(self.path)
            number = len(qstash.requests)
            if qstash.way is None:
                self._answer(200, _accepted(self.path, body, number))
            elif qstash.way in _STATUSES:
                self._answer(_STATUSES[qstash.way], {"error": _WORDS[qstash.way]})
            else:
                self.close_connection = True  # as where a network ends: no answer at all

        def do_GET(self) -> None:
            self.do_POST()

        def do_DELETE(self) -> None:
            self.do_POST()

        def _answer(self, status: int, content: Any) -> None:
            encoded = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def _accepted(path: str, body: bytes, number: int) -> Any:
    """Answer as QStash does: a batch with a list, a list of dead letters with none."""
    if path.startswith("/v2/batch"):
        return [{"messageId": f"msg_{number}_{index}"} for index in range(len(json.loads(body)))]
    return {"messageId": f"msg_{number}", "scheduleId": f"scd_{number}", "messages": []}
