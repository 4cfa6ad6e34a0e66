"""What answers in the app's place while it cannot start with its current code.

Its socket stays open, so that nothing is refused while it restarts: with nobody behind it, a
browser would wait for ever.
"""

import re
from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Event, Thread
from typing import Any

TITLE = "The app cannot start with this code"
#: Seconds that a delivery is kept waiting. QStash waits longer, also for a job with a time limit of
#: a second (`MARGIN` of app.jobs.publish.qstash), and has to hear this answer.
PATIENCE = 10
#: `NOT_RUN` of app.jobs.outcome: with it, QStash's giving up is no end of the job. Not imported, as
#: that may be the code that cannot start.
NOT_RUN = "Jobs-Not-Run"
#: How an exception ends its traceback, which gunicorn's own lines follow.
_RAISED = re.compile(r"^[\w.]*(?:Error|Exception|Exit)\b.*", re.MULTILINE)
#: Bytes of a request that are read.
_MOST = 1_000_000
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2"><title>{title}</title>
<h1>{title}</h1><p>It tries again at the next change, and so does this page.</p>
<pre style="white-space: pre-wrap">{said}</pre></html>
"""


class StandIn:
    """Answers each request with 503 and what the app said, from a thread, until it is closed."""

    def __init__(
        self, listening: socket, said: Iterable[str], *, patience: float = PATIENCE
    ) -> None:
        self._is_over = Event()
        self._server = _Server(listening, "\n".join(said), self._is_over, patience)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the socket to the app; return when no connection is taken any more."""
        self._is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _reason(said: str) -> str:
    found = _RAISED.findall(said)
    return str(found[-1]) if found else "see below"


class _Server(ThreadingHTTPServer):
    def __init__(self, listening: socket, said: str, is_over: Event, patience: float) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening.dup()
        self.said, self.is_over, self.patience = said, is_over, patience

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def parse_request(self) -> bool:
        """Have any method be answered the same."""
        if not super().parse_request():
            return False
        self._answer()
        return False

    def log_message(self, *_: Any) -> None:
        """Say nothing: the console has the reason already."""

    def _answer(self) -> None:
        given = self.headers.get("Content-Length", "")
        self.rfile.read(min(int(given), _MOST) if given.isdecimal() else 0)  # or it is a reset
        # A delivery waits for the mended code: the answer costs the job one of its retries.
        if "Upstash-Signature" in self.headers:
            self.server.is_over.wait(self.server.patience)
        is_page = "text/html" in self.headers.get("Accept", "")
        said = self.server.said
        # The reason comes first, as a job's error keeps only the beginning.
        text = f"{TITLE}: {_reason(said)}\n\n{said}\n"
        if is_page:
            text = _PAGE.format(title=TITLE, said=escape(said))
        body = text.encode("utf-8", "replace")
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", f"text/{'html' if is_page else 'plain'}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Retry-After", "2")
        self.send_header(NOT_RUN, "true")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
