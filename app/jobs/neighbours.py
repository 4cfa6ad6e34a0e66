"""Other extensions of the app that would be in the way of jobs, whichever is initialised first.

Flask-WTF's CSRFProtect answers 400 to what has no token of a form: deliveries have a signature
instead. About Flask-Migrate see `migrations.autogenerate`.
"""

from typing import Any

from flask import Flask, request, request_started

from .execute.delivery import is_qstash_endpoint


def init_app(app: Flask) -> None:
    """Listen for the app's requests: all that it has is there by then."""
    request_started.connect(_exempt_from_csrf, app)


def _exempt_from_csrf(app: Flask, **_: Any) -> None:
    """Exempt what only QStash may call; the signal comes before all `before_request` functions."""
    csrf = app.extensions.get("csrf")
    if csrf is not None and is_qstash_endpoint():
        csrf.exempt(app.view_functions[request.endpoint or ""])
