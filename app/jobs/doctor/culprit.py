"""Which function of the app's own answers in place of a view: found by asking each in turn."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request, request_started
from werkzeug.exceptions import HTTPException

from ..execute import own_test


def who_answers(path: str) -> str:
    """Name the `before_request` that answers a POST there; empty where none does in this process.

    It is asked as Flask asks it, with a request of this process, so what it does besides is done.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    at = urlsplit(app.config["BASE_URL"])
    context = app.test_request_context(
        path, base_url=at.geturl(), method="POST", headers=own_test.mark(), data=b"{}"
    )
    with context:
        request_started.send(app, _async_wrapper=app.ensure_sync)
        for function in _asked():
            try:
                answered = app.ensure_sync(function)() is not None
            except HTTPException:
                answered = True
            except Exception:  # noqa: BLE001 - it fails in its own way, but answers nothing itself
                answered = False
            if answered:
                return f"{function.__module__}.{function.__qualname__}"
    return ""


def _asked() -> Iterator[Callable[[], Any]]:
    """Yield what Flask asks before a view, in its order."""
    for scope in (None, *reversed(request.blueprints)):
        yield from current_app.before_request_funcs.get(scope, ())
