"""No request ends its worker: anything but an `Exception` is answered 500, and logged.

Frameworks let `SystemExit` and the like pass, and gunicorn takes some exit codes of a worker (3
and 4) for "cannot start at all": it stops, with all other workers and their jobs. Whatever a
validator, an observer, a view or a template raises may cost no more than one request.
"""

import logging
from collections.abc import Iterable, Iterator
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

_BODY = b'{"type": "about:blank", "title": "Internal Server Error", "status": 500}'


def init_app(app: Flask) -> None:
    app.wsgi_app = _Guard(app, app.wsgi_app)  # type: ignore[assignment]  # Flask's own way to do it


class _Guard:
    def __init__(self, app: Flask, inner: "WSGIApplication") -> None:
        self._app = app
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        try:
            body = self._inner(environ, start)
        except Exception:
            raise  # the server's business, which ends no worker
        except BaseException as error:  # which is the point
            if self._app.testing:  # where Flask lets errors pass to the test, too
                raise
            _keep(error, environ)
            headers = [("Content-Type", "application/problem+json")]
            start("500 INTERNAL SERVER ERROR", [*headers, ("Content-Length", str(len(_BODY)))])
            return [_BODY]
        # A file is sent by the server in its own way, without a line of ours.
        is_file = isinstance(body, environ.get("wsgi.file_wrapper", ()))
        return body if is_file or self._app.testing else _Guarded(body, environ)


class _Guarded:
    """A body that is generated while it is sent."""

    def __init__(self, body: Iterable[bytes], environ: "WSGIEnvironment") -> None:
        self._body = body
        self._environ = environ

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except (Exception, GeneratorExit):
            raise
        except BaseException as error:
            _keep(error, self._environ)
            raise RuntimeError("a streamed answer broke off") from error

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _keep(error: BaseException, environ: "dict[str, Any]") -> None:
    """Log the error; raise it again if it is Ctrl-C at a terminal."""
    if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
        raise error
    log.critical(
        "[jobs] A request tried to end the process",
        exc_info=error,
        extra={"path": environ.get("PATH_INFO", "")},
    )
