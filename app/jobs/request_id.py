"""One id from the request that enqueued a job, through QStash, to every line its handler logs."""

import re
from contextvars import ContextVar
from secrets import token_hex

from flask import Flask, Response, request

HEADER = "X-Request-Id"

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str:
    """Return the id of the request or command under way; the first call in one makes it."""
    request_id = _current.get()
    if request_id is None:
        request_id = token_hex(8)
        _current.set(request_id)
    return request_id


def request_id_if_any() -> str | None:
    return _current.get()


def init_app(app: Flask) -> None:
    app.before_request(_adopt)
    app.after_request(_echo)


def _adopt() -> None:
    """Take the caller's id where it is one: QStash forwards the one of the enqueueing request."""
    given = request.headers.get(HEADER, "")
    _current.set(given if _SAFE.fullmatch(given) else token_hex(8))


def _echo(response: Response) -> Response:
    response.headers.setdefault(HEADER, current_request_id())
    return response
