"""Gunicorn's access log: a line for each request, including rejected ones, without tokens.

`gunicorn.conf.py` installs it.
"""

import logging
import re
from datetime import timedelta
from select import POLLIN, poll
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from gunicorn.http.errors import (
    ExpectationFailed,
    ForbiddenProxyRequest,
    InvalidHeader,
    InvalidHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

LONGEST_LINE = 500
#: Milliseconds for which a thread waits for its connection's next request.
MOMENT = 10
#: A path that is encoded more often than this is valid nowhere.
MOST_ENCODINGS = 5

#: Paths that are credentials themselves, in any spelling: doubled slashes are redirected to the
#: right path, and a token in a path that gets 404 is still a token.
_LINK = re.compile(r"(artifacts)(?:[/\\%]).*", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"[?#;].*|\btoken=.*", re.IGNORECASE | re.DOTALL)
_IN_A_SENTENCE = re.compile(r"(artifacts[/\\%]|\btoken(?:=|%3d))[^\s'\"]+", re.IGNORECASE)
#: Gunicorn's answers other than 400.
_STATUS = {
    ForbiddenProxyRequest: "403",
    LimitRequestLine: "414",
    ExpectationFailed: "417",
    LimitRequestHeaders: "431",
    UnsupportedTransferCoding: "501",
}
_UNREAD = dict.fromkeys(("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL", "PATH_INFO"), "-")


def without_tokens(path: str) -> str:
    """Return a path without the tokens of links, however often it is encoded."""
    for _ in range(MOST_ENCODINGS):
        path = unquote(path)
    return _QUERY.sub("", _LINK.sub(r"\1/(hidden)", path))


class AccessFields(logging.Filter):
    """Return gunicorn's values of a request (https://docs.gunicorn.org, access_log_format)."""

    def filter(self, record: logging.LogRecord) -> bool:
        atoms: Any = record.args
        # The raw line of a rejected request: it has no parsed path.
        raw = atoms["U"] if atoms["U"] not in {None, "-"} else atoms["r"].split(" ")[1]
        atoms["U"] = without_tokens(raw)
        record.method, record.path, record.status = atoms["m"], atoms["U"], int(atoms["s"])
        record.duration_ms, record.remote_addr = atoms["M"], atoms["h"]
        return True


class ShortLines(logging.Filter):
    """Mask tokens in the parts of requests that gunicorn quotes, and shorten long ones."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = _IN_A_SENTENCE.sub(r"\1(hidden)", record.getMessage())
        if said.startswith("Invalid request") and len(said) > LONGEST_LINE:
            said = f"{said[:LONGEST_LINE]}…"
        record.msg, record.args = said, ()
        return True


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's threaded worker, which also logs requests that it cannot parse."""

    def handle(self, conn: Any) -> Any:
        """Answer a connection's requests for as long as they follow each other.

        QStash sends the next delivery on the connection on which it got an answer. Gunicorn has the
        worker's main thread wait for it, which costs three switches between threads.
        """
        kept = super().handle(conn)
        while kept is True and self.alive and self._next_is_here(conn):
            kept = super().handle(conn)
        return kept

    def _next_is_here(self, conn: Any) -> bool:
        """Wait a moment for a connection's next request, if no other one waits for a thread."""
        served = self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns)
        if served > self.cfg.threads or conn.is_http2:
            return False
        readable = poll()
        readable.register(conn.sock, POLLIN)
        return bool(readable.poll(MOMENT))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        super().handle_error(req, client, addr, exc)
        if isinstance(exc, InvalidHeader | InvalidHeaderName):
            req = req or getattr(exc, "req", None)
        if req is not None:
            return  # logged by gunicorn itself
        status = next((code for kind, code in _STATUS.items() if isinstance(exc, kind)), "400")
        response = SimpleNamespace(status=status, headers=[], sent=None)
        environ = {**_UNREAD, "REMOTE_ADDR": (addr or ("-",))[0]}
        self.log.access(response, SimpleNamespace(headers=[]), environ, timedelta())
