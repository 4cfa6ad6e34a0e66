"""Users whom a trusted proxy names in a header: one that signs people in before it lets them here.

Only the address at the other end of the socket tells whether it is that proxy. From anywhere else,
the header is ignored: whoever reaches the app past the proxy could write it, too.
"""

from ipaddress import ip_address, ip_network
from itertools import chain

from flask import Flask, current_app, request

from . import access, this_machine
from .access import Role, User

#: Characters that a name may have.
LONGEST = 200


def init_app(app: Flask) -> None:
    """Ask the proxies that ADMIN_PROXY names."""
    if app.config["ADMIN_PROXY"]:
        access.add_way(app, _by_header)


def _by_header() -> User | None:
    if not _is_trusted(this_machine.peer()):
        return None
    config = current_app.config
    name = request.headers.get(config["ADMIN_PROXY_USER"], "").strip()
    # One with a comma is two: the header came twice, one of them perhaps from the client.
    if not 0 < len(name) <= LONGEST or not name.isprintable() or "," in name:
        return None
    groups = config["ADMIN_PROXY_GROUPS"]
    names = [name] if not groups else request.headers.get(groups, "").split(",")
    roles = _roles(config["ADMIN_PROXY_ROLES"])
    found = [roles[one] for one in chain(map(str.strip, names), ["*"]) if one in roles]
    return User(name, found[0] if not groups else max(found)) if found else None


def _is_trusted(address: str) -> bool:
    """Tell whether an address is one of the proxies'; that of a Unix socket is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    proxies = filter(None, map(str.strip, current_app.config["ADMIN_PROXY"].split(",")))
    return any(found in ip_network(one) for one in proxies)


def _roles(written: str) -> dict[str, Role]:
    pairs = (one.rpartition("=") for one in written.split(",") if one.strip())
    return {name.strip(): Role[role.strip().upper()] for name, _, role in pairs}
