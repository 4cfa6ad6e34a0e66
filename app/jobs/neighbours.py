"""Other extensions of the app that would be in the way of jobs, whichever is initialised first.

Flask-WTF's CSRFProtect answers 400 to what has no token of a form: deliveries have a signature
instead. Flask-Migrate would write a migration that drops the tables of jobs, as no model has them.
"""

from typing import Any

from flask import Flask, appcontext_pushed, request, request_started

from .execute.delivery import is_qstash_endpoint
from .migrations import include_object


def init_app(app: Flask) -> None:
    """Listen for the app's requests and contexts: all that it has is there by then."""
    request_started.connect(_exempt_from_csrf, app)
    appcontext_pushed.connect(_hide_tables, app)


def _exempt_from_csrf(app: Flask, **_: Any) -> None:
    """Exempt what only QStash may call; the signal comes before all `before_request` functions."""
    csrf = app.extensions.get("csrf")
    if csrf is not None and is_qstash_endpoint():
        csrf.exempt(app.view_functions[request.endpoint or ""])


def _hide_tables(app: Flask, **_: Any) -> None:
    """Have `flask db migrate` leave our tables alone, unless the app says what it may see."""
    found: Any = app.extensions.get("migrate")
    # Its type is asked, as this is for each request, and a proxy would load all of Alembic.
    if type(found).__name__ == "_MigrateConfig":
        found.configure_args.setdefault("include_object", include_object)
