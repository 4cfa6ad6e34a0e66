"""Flask-WTF's CSRFProtect, where the app has it: what only QStash may call is exempt.

It would answer 400 to each delivery, as that has a signature instead of a token of a form.
"""

from typing import Any

from flask import Flask, request, request_started

from .execute.delivery import is_qstash_endpoint


def init_app(app: Flask) -> None:
    """Listen for requests; the signal comes before all `before_request`, in whatever order."""
    request_started.connect(_exempt, app)


def _exempt(app: Flask, **_: Any) -> None:
    protection = app.extensions.get("csrf")
    if protection is not None and is_qstash_endpoint():
        protection.exempt(app.view_functions[request.endpoint or ""])
