"""Rejects requests that a browser makes on behalf of another site.

On loopback, the server is open to everyone on this machine: the development token is public, and
the page asks for none. So two attackers must be kept out: a site that made its name resolve to
127.0.0.1 (DNS rebinding), which the Host header gives away, and a site that sends requests to us,
which Origin and Sec-Fetch-Site give away. Clients other than browsers send neither of those two.
"""

from urllib.parse import urlsplit

from aiohttp import web

from .errors import ApiError
from .settings import is_loopback


def check_host(request: web.BaseRequest, bound_to: str) -> None:
    """Refuse a host name that is not this machine's, if the server is on loopback.

    Raises:
        ApiError: 403, naming the host.
    """
    if not is_loopback(bound_to):
        return
    for host in request.headers.getall("Host", [""]):
        name = _host_name(host)
        if name is None or not (is_loopback(name) or name == bound_to.lower()):
            raise ApiError(
                403,
                f"Host {host!r} is not a name of this machine; use localhost, "
                "or start the server with --host and your own token",
            )


def check_no_other_site(request: web.BaseRequest, bound_to: str) -> None:
    """Refuse requests that a browser sends for another site, if the server is on loopback.

    Raises:
        ApiError: 403, naming the header that gave it away.
    """
    if not is_loopback(bound_to):
        return
    for site in request.headers.getall("Sec-Fetch-Site", []):
        if site.strip().lower() not in ("none", "same-origin"):
            raise ApiError(403, f"Sec-Fetch-Site {site!r}: other web sites have no access here")
    for origin in request.headers.getall("Origin", []):
        if not _is_own(origin, request):
            raise ApiError(403, f"Origin {origin!r}: other web sites have no access here")


def is_same_origin(request: web.BaseRequest) -> bool:
    """Tell whether a browser vouches that our own page sent this."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    return _is_own(origin, request)


def _is_own(origin: str, request: web.BaseRequest) -> bool:
    # The scheme may differ behind a proxy that speaks TLS; the authority may not.
    host = request.headers.get("Host", "")
    return bool(host) and origin.strip().partition("://")[2].lower() == host.lower()


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
