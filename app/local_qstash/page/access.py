"""Who may see the page and press its buttons.

Bound to loopback, the page is open to whoever sits at this machine. Two strangers must be kept
out: a site that made its name resolve to 127.0.0.1 (DNS rebinding), which the Host header gives
away, and a site that posts a form to us, which the Origin header gives away. Bound to anything
else, the page asks for the server's token.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from aiohttp import web

from app.local_qstash.errors import ApiError
from app.local_qstash.hosts import is_loopback
from app.local_qstash.settings import Settings

_COOKIE = "local_qstash_page"


class Access:
    """The door of one server's page."""

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host
        self._token = settings.credentials.token.encode()
        self.asks_for_token = not is_loopback(settings.host)

    def check(self, request: web.BaseRequest) -> None:
        """Refuse a foreign site's doing.

        Raises:
            ApiError: 403, saying which header gave it away.
        """
        host = request.headers.get("Host", "")
        if not self.asks_for_token and not self._is_ours(host):
            raise ApiError(403, f"Host {host!r} is not a name of this machine; use localhost")
        if request.method == "POST" and not _is_same_origin(request, host):
            raise ApiError(403, "this form was not sent by this page; open it anew and try again")

    def knows(self, request: web.BaseRequest) -> bool:
        """Say whether this visitor needs no token, or has shown it."""
        if not self.asks_for_token:
            return True
        shown = request.cookies.get(_COOKIE, "")
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._pass.encode())

    def admit(self, token: str, response: web.StreamResponse) -> bool:
        """Let the visitor in who brings the token; `response` carries the cookie."""
        right = hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), self._token)
        if right:
            response.set_cookie(_COOKIE, self._pass, httponly=True, samesite="Strict", path="/")
        return right

    def dismiss(self, response: web.StreamResponse) -> None:
        response.del_cookie(_COOKIE, httponly=True, samesite="Strict", path="/")

    @property
    def _pass(self) -> str:
        # Not the token itself: browsers send cookies to every port of a host.
        return hmac.new(self._token, b"page", hashlib.sha256).hexdigest()

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        return name is not None and (is_loopback(name) or name == self._host.lower())


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_same_origin(request: web.BaseRequest, host: str) -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    # The scheme may differ behind a proxy that speaks TLS; the authority may not.
    return bool(host) and origin.partition("://")[2].lower() == host.lower()
