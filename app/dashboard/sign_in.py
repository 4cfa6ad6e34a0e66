"""Signing in by a password: whose session the browser has, and where it goes afterwards.

Flask-Login has one manager per app and keeps the user in the app's own session, so that a second
one would take the place of a host's: `current_user` would be ours on its pages. Nor does a session
in a cookie end when a password changes. So a session is a row, and the cookie is ours.
"""

from typing import Any

from flask import Flask, Response, current_app, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from ..jobs.operate import sessions
from . import access, cookies
from .access import Role, User
from .rendering import link
from .visit import visit

#: Characters of an address that is gone to after a sign-in.
LONGEST = 2000


def init_app(app: Flask) -> None:
    """Ask who has signed in, where ADMIN_SIGN_IN says so."""
    if app.config["ADMIN_SIGN_IN"] == "password":
        access.add_way(app, _by_session)


def is_on() -> bool:
    """Tell whether people sign in by a password here."""
    return bool(current_app.config["ADMIN_SIGN_IN"] == "password")


def lifetimes() -> dict[str, float]:
    """Return after how many seconds sessions end, as `sessions` takes it."""
    config = current_app.config
    return {"idle": config["ADMIN_SESSION_IDLE"], "longest": config["ADMIN_SESSION_MAX"]}


def is_updating() -> bool:
    """Tell whether a page asks that updates itself, and nobody who uses it."""
    return "HX-Request" in request.headers


def target(given: str) -> str:
    """Return where to go after a sign-in: the page of ours that was asked for, or the first.

    Never elsewhere, whoever wrote the link.
    """
    first = link("overview")
    is_below = given == first or given.startswith((f"{first}/", f"{first}?"))
    is_plain = given.isascii() and given.isprintable() and "\\" not in given
    return given if is_below and is_plain and len(given) <= LONGEST else first


def _by_session() -> User | Response | BaseResponse | None:
    """Know whose session it is, or lead to the sign-in."""
    token = cookies.session()
    found = token and sessions.find(token, **lifetimes(), uses=not is_updating())
    if found:
        visit().is_signed_in = True
        return User(found.name, Role[found.role.upper()], found.organization_id)
    if is_updating():  # a page left open, which is to be asked for as a whole
        return Response(status=401, headers={"HX-Refresh": "true"})
    asked: dict[str, Any] = {}
    if request.method == "GET":
        query = request.query_string.decode("latin-1")
        path = request.script_root + request.path
        asked["next"] = f"{path}?{query}" if query else path
    return redirect(link("session", **asked))
