"""Whether a request comes from this very machine: decided by its socket, never by a header."""

import socket
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import request

#: Where servers put the connection that a request came by: Werkzeug's own, gunicorn.
_SOCKETS = ("werkzeug.socket", "gunicorn.socket")
#: Prefixes of the headers in which proxies and tunnels name the client.
_OF_PROXIES = (
    "x-forwarded", "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip",
    "x-original-", "cf-", "true-client-ip", "fastly-", "fly-", "x-envoy-", "x-amzn-", "x-cloud-",
    "x-azure-", "tailscale-", "ngrok-", "cdn-loop",
)  # fmt: skip


def is_client() -> bool:
    """Tell whether a process of this machine asks, and not for somebody else as far as can be seen.

    A header can only deny it: a proxy's or a tunnel's says that the client is elsewhere, and
    another host name is that of a web page which had it resolve to this machine (DNS rebinding).
    """
    return not is_proxied() and is_loopback(peer()) and is_loopback(_host())


def is_proxied() -> bool:
    """Tell whether a proxy or a tunnel says that it brings the request."""
    return any(name.lower().startswith(_OF_PROXIES) for name, _ in request.headers)


def is_loopback(host: str) -> bool:
    """Tell whether an address, or a name, is that of this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def peer() -> str:
    """Return the address at the other end of the socket; "" where it has none.

    What WSGI calls the client's address is no such thing behind `ProxyFix`, which keeps what it
    replaced; a server that hides its socket is believed in that.
    """
    environ = request.environ
    for name in _SOCKETS:
        if isinstance(environ.get(name), socket.socket):
            return _address(environ[name].getpeername())
    before: dict[str, Any] = environ.get("werkzeug.proxy_fix.orig") or environ
    return str(before.get("REMOTE_ADDR") or "")


def _address(peer: Any) -> str:
    """Return the host of a socket's address; "" for a Unix socket, behind which anyone may be."""
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _host() -> str:
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""
