"""Security headers of every response, cookies, and in development, a check of the Host header."""

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Request, Response, abort, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.config.security import is_loopback

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
#: A year; without subdomains, which may not be ours.
HSTS = "max-age=31536000"


def init_app(app: Flask) -> None:
    app.session_interface = _Sessions()
    app.after_request(_add)
    if app.config["APP_ENV"] == "development" and not app.testing:
        app.before_request(_refuse_other_names)


def asks_home() -> bool:
    """Tell whether the current request's host is this machine or BASE_URL's host."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or host == urlsplit(current_app.config["BASE_URL"]).hostname


def _refuse_other_names() -> None:
    """Answer 400 for another host name.

    In development a client on this machine may do much, and so might a web page whose name resolves
    to this machine (DNS rebinding). (Werkzeug's trusted hosts know no IPv6 addresses.)
    """
    if not asks_home():
        abort(HTTPStatus.BAD_REQUEST, "In development only BASE_URL's host and localhost answer.")


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if _is_https():
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    if request.path.startswith("/api/") and response.is_json:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _is_https() -> bool:
    """Decide by BASE_URL: a proxy in front speaks plain HTTP to us."""
    config = current_app.config
    return bool(config["APP_ENV"] == "production" and config["BASE_URL"].startswith("https://"))


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions, at no cost to requests that bring no cookie, as deliveries do."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Make a reader of signed cookies only where there is a cookie."""
        if app.secret_key and "Cookie" not in request.headers:
            return self.session_class()
        return super().open_session(app, request)
