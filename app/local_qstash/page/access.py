"""Who may see the page and press its buttons.

On loopback, the page is open to everyone on this machine, but to no other site; see `browsers.py`.
On any other address, it asks for the server's token.
"""

import hashlib
import hmac

from aiohttp import web

from ..browsers import check_host, is_same_origin
from ..errors import ApiError
from ..settings import Settings, is_loopback

_COOKIE = "local_qstash_page"


class Access:
    """Access to one server's page."""

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host
        self._token = settings.credentials.token.encode()
        self.asks_for_token = not is_loopback(settings.host)

    def check(self, request: web.BaseRequest) -> None:
        """Refuse requests that come from another site.

        Raises:
            ApiError: 403, naming the header that gave it away.
        """
        check_host(request, self._host)
        if request.method == "POST" and not is_same_origin(request):
            raise ApiError(403, "this form was not sent by this page; reload it and try again")

    def knows(self, request: web.BaseRequest) -> bool:
        """Tell whether this visitor needs no token, or has given it."""
        if not self.asks_for_token:
            return True
        shown = request.cookies.get(_COOKIE, "")
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._pass.encode())

    def admit(self, token: str, response: web.StreamResponse) -> bool:
        """Sign in a visitor with the token; `response` carries the cookie."""
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
