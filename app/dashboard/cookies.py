"""What the dashboard keeps in cookies of its own.

They are the secret of its forms, what was just done, and the session of whoever has signed in.

Not in Flask's session, which is the app's: it may be stored anywhere, or be of another kind.
"""

from http import HTTPStatus
from secrets import token_urlsafe
from typing import Any

from flask import Response, abort, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from . import this_machine
from .visit import visit

_SECRET, _NOTICE = "jobs_dashboard", "jobs_dashboard_notice"
_SESSION = "jobs_dashboard_session"
#: Seconds for which a form can be sent, and for which a notice waits for the page that shows it.
_FORM_AGE, _NOTICE_AGE = 24 * 60 * 60, 60


def form_token() -> str:
    """Return what the forms of this page must send: signed, and for this browser and user only."""
    return _signer("form").dumps([_secret(), _who()])


def check_form() -> None:
    """Answer 400 unless the form that is sent is one of ours.

    The token is good only with the cookie, which no other site's page has sent along (`SameSite`);
    a browser says by itself whose page a form is on.
    """
    whose = request.headers.get("Sec-Fetch-Site", "same-origin")
    try:
        given = _signer("form").loads(request.form.get("csrf", ""), max_age=_FORM_AGE)
    except BadData:
        given = None
    if given != [request.cookies.get(_SECRET), _who()] or whose != "same-origin":
        abort(HTTPStatus.BAD_REQUEST, "This form is no longer valid: go back, reload, try again.")


def notice(text: str, href: str | None = None, *, kind: str = "done") -> None:
    """Have the next page say something.

    Args:
        text: What was changed.
        href: What it was changed of.
        kind: "done", or "problem".
    """
    visit().said.append((text, href, kind))


def take_notices() -> list[Any]:
    """Return what the page before left to say, for this one to say."""
    given = request.cookies.get(_NOTICE)
    if not given or "HX-Request" in request.headers:
        return []
    visit().is_told = True
    try:
        return list(_signer("notice").loads(given, max_age=_NOTICE_AGE))
    except BadData:
        return []


def session() -> str | None:
    """Return the session of this browser, as it says."""
    return request.cookies.get(_SESSION)


def keep_session(token: str) -> None:
    """Have the browser keep a session until it is closed; "" is none."""
    visit().session = token


def save(response: Response, path: str) -> Response:
    """Set the cookies that the request called for, for pages below a path."""
    common: dict[str, Any] = {"path": path, "httponly": True, "samesite": "Strict"}
    # Behind a proxy that speaks TLS for us, BASE_URL is what tells.
    is_https = request.is_secure or current_app.config["BASE_URL"].startswith("https://")
    common["secure"] = is_https and not this_machine.is_client()
    if visit().secret:
        response.set_cookie(_SECRET, str(visit().secret), **common)
    if visit().said:
        said = _signer("notice").dumps(visit().said)
        response.set_cookie(_NOTICE, said, max_age=_NOTICE_AGE, **common)
    elif visit().is_told:
        response.delete_cookie(_NOTICE, path=path)
    if (token := visit().session) is not None:
        # Also along with a link from elsewhere, which can only be looked at.
        lax = {**common, "samesite": "Lax"}
        response.set_cookie(_SESSION, token, max_age=None if token else 0, **lax)
    return response


def _secret() -> str:
    """Return the secret of this browser, made now where it has none."""
    found = request.cookies.get(_SECRET) or visit().secret
    if not found:
        found = visit().secret = token_urlsafe(24)
    return found


def _who() -> str:
    found = visit().user
    return found.name if found else ""


def _signer(purpose: str) -> URLSafeTimedSerializer:
    config = current_app.config
    keys = [*(config.get("SECRET_KEY_FALLBACKS") or ()), config["SECRET_KEY"]]
    return URLSafeTimedSerializer(keys, salt=f"jobs.dashboard.{purpose}")
