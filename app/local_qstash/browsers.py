"""Which requests a browser made for a site that is not ours.

Bound to loopback, the server is open to whoever sits at this machine: the development token is
public, and the page asks for none. So two strangers must be kept out: a site that made its name
resolve to 127.0.0.1 (DNS rebinding), which the Host header gives away, and a site that sends
requests to us, which Origin and Sec-Fetch-Site give away. Clients that are no browsers send neither
of those two.
"""

from urllib.parse import urlsplit

from aiohttp import web

from .errors import ApiError
from .settings import is_loopback


def check_host(request: web.BaseRequest, bound_to: str) -> None:
    """Refuse a name that is none of this machine's, as long as nobody else can reach us.

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
                "or start the server with --host and a token of your own",
            )


def check_no_other_site(request: web.BaseRequest, bound_to: str) -> None:
    """Refuse what another site has a browser do, as long as nobody else can reach us.

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
    """Say whether a browser vouches that a page of ours sent this."""
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
