"""Where a caller may have QStash call: public addresses, and those that the operator allows.

A callback's URL may come from a stranger: through the job API, or a form of the app that enqueues.
Who could name any address would have QStash, or a server of its kind inside our network, reach what
only that network may reach (server-side request forgery).
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from flask import current_app
from werkzeug.exceptions import HTTPException

from app.jobs.errors import InvalidOption
from app.jobs.registry import registry_of

Address = IPv4Address | IPv6Address

#: IPv6 addresses that stand for IPv4 ones, in their last 32 bits (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")


def check(name: str, url: str) -> str:
    """Return a URL that may be called.

    Only at this moment: QStash resolves the name again when it calls.

    Raises:
        InvalidOption: Not an absolute http(s) URL, one with a password in it, one whose host is
            unknown or has an address of a private network that JOBS_CALLBACK_ALLOW does not name,
            or an endpoint of this app's that takes QStash's deliveries.
    """
    parts = _parts(name, url)
    if _takes_deliveries(url, current_app.config["BASE_URL"]):
        raise InvalidOption(f"{name}: {url!r} is this app's own endpoint for QStash's deliveries")
    host = str(parts.hostname)
    if host not in _own_and_allowed(current_app.config):
        for address in _addresses(name, host):
            if not _may_be_called(address):
                raise InvalidOption(
                    f"{name}: {host} is in a private network ({address}); use a public address, "
                    "or have the operator name it in JOBS_CALLBACK_ALLOW"
                )
    return url


def _parts(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InvalidOption(f"{name}: {url!r} is not an absolute http(s) URL")
    if "@" in parts.netloc:
        raise InvalidOption(f"{name}: a URL must not have a user or password in it")
    return parts


def _takes_deliveries(url: str, base_url: str) -> bool:
    """Tell whether a call there, signed by QStash, would pass for a delivery.

    An endpoint that the app itself guards with `@signed` is meant for callbacks.
    """
    if not url.startswith(f"{base_url}/"):
        return False
    path = unquote(urlsplit(url[len(base_url) :]).path)
    try:
        rule, _ = current_app.url_map.bind("").match(path, method="POST", return_rule=True)
    except HTTPException:
        return False
    job_endpoints = {config.endpoint for config in registry_of(current_app)}
    return rule.rule in job_endpoints or rule.endpoint.startswith("jobs.")


def _own_and_allowed(config: Mapping[str, Any]) -> set[str]:
    return {str(urlsplit(config["BASE_URL"]).hostname), *_entries(config)}


def _entries(config: Mapping[str, Any]) -> Iterator[str]:
    return filter(None, map(str.strip, config["JOBS_CALLBACK_ALLOW"].lower().split(",")))


def _addresses(name: str, host: str) -> set[Address]:
    """Return all addresses of a host, which may also be written as a number, as curl takes it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise InvalidOption(f"{name}: the host {host!r} is unknown") from None
    return {ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}


def _may_be_called(address: Address) -> bool:
    networks = [*_networks(current_app.config)]
    return all(
        (one.is_global and not one.is_multicast) or any(one in network for network in networks)
        for one in _meant(address)
    )


def _meant(address: Address) -> Iterator[Address]:
    """Yield the address, and the IPv4 addresses that a tunnel or translator would make of it."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    else:
        yield address
        if address in _NAT64:
            yield IPv4Address(address.packed[-4:])
        yield from filter(None, (address.sixtofour, *(address.teredo or ())))


def _networks(config: Mapping[str, Any]) -> Iterator[IPv4Network | IPv6Network]:
    for entry in _entries(config):
        with suppress(ValueError):
            yield ip_network(entry)
