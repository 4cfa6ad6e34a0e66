"""Who may use the endpoints below /api/admin."""

from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from typing import Any

from flask import current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.api.access import caller, caller_name
from app.dashboard import this_machine
from app.web.headers import asks_home


def admin_only(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Answer 401 unless one of `WAYS` knows the caller; apply it below the route decorator."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if not is_allowed():
            raise Unauthorized(
                "Send `Authorization: Bearer …` with this app's ADMIN_TOKEN, or an API key for "
                "all organizations that has the scope read.",
                www_authenticate=WWWAuthenticate("bearer"),
            )
        return view(*args, **kwargs)

    return wrapper


def is_allowed() -> bool:
    """Tell whether one of `WAYS` knows the caller of the current request."""
    return any(allows() for allows in WAYS)


def known_as() -> str | None:
    """Name the caller that a request counts for."""
    return caller_name() or ("an operator" if is_allowed() else None)


def _has_token() -> bool:
    """Without ADMIN_TOKEN no token is accepted, not even an empty one."""
    wanted = current_app.config["ADMIN_TOKEN"]
    given = request.authorization
    if not wanted or given is None or given.type != "bearer" or given.token is None:
        return False
    return compare_digest(given.token.encode(), wanted.encode())


def _has_key() -> bool:
    key = caller()
    return key is not None and key.organization_id is None and "read" in key.scopes


def _is_at_home() -> bool:
    """In development without ADMIN_TOKEN, any caller on this machine that uses no proxy."""
    config = current_app.config
    if config["APP_ENV"] != "development" or config["ADMIN_TOKEN"]:
        return False
    is_near = this_machine.is_loopback(request.remote_addr or "")
    return is_near and asks_home() and not this_machine.is_proxied()


#: Each tells whether it knows the caller of the current request; one is enough.
WAYS: list[Callable[[], bool]] = [_has_token, _has_key, _is_at_home]
