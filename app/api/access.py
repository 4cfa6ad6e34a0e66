"""Authorization of requests to the job API by their API key."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, NoReturn

from flask import abort, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.api import keys
from app.api.keys import Key, Scope

_CALLER = "app.api.caller"

View = Callable[..., ResponseReturnValue]


def requires(*scopes: Scope) -> Callable[[View], View]:
    """Require a key with one of these scopes: 401 without a key, else 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            authorise(*scopes)
            return view(*args, **kwargs)

        return wrapper

    return decorate


def authorise(*scopes: Scope) -> Key:
    """Return the caller's key, or abort."""
    key = caller()
    if key is None:
        raise Unauthorized(
            "Send `Authorization: Bearer …` with an API key that is neither expired nor revoked; "
            "`flask jobs apikey create` creates one.",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    if not set(scopes) & set(key.scopes):
        forbid(f"This key lacks the scope {' or '.join(scopes)}; it has {', '.join(key.scopes)}.")
    return key


def caller() -> Key | None:
    """Return the request's key, if it is valid; looked up once per request."""
    # Not in `g`, which outlives a request made within an app context.
    if _CALLER not in request.environ:
        given = request.authorization
        token = given.token if given is not None and given.type == "bearer" else None
        request.environ[_CALLER] = keys.find(token) if token else None
    found: Key | None = request.environ[_CALLER]
    return found


def caller_name() -> str | None:
    """Return the key that an authorized request is counted under."""
    key = caller()
    return None if key is None else f"key {key.id}"


def has_key() -> bool:
    """Return whether the request has an API key, valid or not."""
    given = request.authorization
    return given is not None and (given.token or "").startswith(keys.MARK)


def forbid(reason: str) -> NoReturn:
    abort(HTTPStatus.FORBIDDEN, reason)
