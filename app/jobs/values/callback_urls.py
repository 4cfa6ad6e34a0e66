"""Where a caller may have QStash call: public addresses, and those that the operator allows.

A callback's URL may come from a stranger: through the job API, or a form of the app that enqueues.
Someone who can choose any address could have QStash, or a server like it inside our network, call
what only that network may reach (server-side request forgery).
"""

import re
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
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from flask import current_app
from werkzeug.exceptions import HTTPException

from ..errors import InvalidOption, quoted
from .urls import is_on_this_machine

Address = IPv4Address | IPv6Address

#: Seconds to wait for what a name means.
PATIENCE = 2.0

#: All that is routed in the Internet (RFC 4291), and a translator's way into its older half
#: (RFC 6052). IPv4 addresses in other clothes (compatible, translated, a translator's for one
#: network alone) lead somewhere else in each network, if anywhere.
_NAT64 = IPv6Network("64:ff9b::/96")
_ROUTED = (IPv6Network("2000::/3"), _NAT64)
#: Set aside for protocols and documents; not every Python knows all of them.
_SET_ASIDE = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),
)
#: Whatever the network's number, an interface that is called so is an IPv4 address (ISATAP).
_ISATAP = (0x00005EFE, 0x02005EFE)

#: What a resolver says of a name that does not exist, or has no address.
_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

# Letters, digits and the signs of names and addresses: no two programs must read it differently.
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]+", re.ASCII)
_UNSAFE = re.compile(r"[^\x21-\x7e]|\\")


class Unresolved(Exception):
    """Nobody tells at the moment what a host's name means."""


class UnknownHost(InvalidOption):
    """A host's name means nothing, as far as the name servers know."""


def check_url(name: str, url: str) -> str:
    """Return a URL that may be called, as far as can be told now.

    While name servers are away, a name passes: `check_again` asks once more before the URL is used.

    Raises:
        InvalidOption: Not an absolute http(s) URL, one with a password in it, one whose host is
            unknown (not with a local QStash server) or has an address of a private network that
            JOBS_CALLBACK_ALLOW does not name, or an endpoint of this app's that takes QStash's
            deliveries.
    """
    with suppress(Unresolved):
        check_again(name, url)
    return url


def check_again(name: str, url: str) -> None:
    """Refuse a URL that may not be called, just before it is handed to QStash.

    Only at this moment: QStash resolves the name again when it calls.

    Raises:
        InvalidOption: As for `check`.
        Unresolved: Its host cannot be looked up at the moment.
    """
    parts = _parts(name, url)
    if _takes_deliveries(parts, urlsplit(current_app.config["BASE_URL"])):
        raise InvalidOption(
            f"{name}: {quoted(url)} is this app's own endpoint for QStash's deliveries"
        )
    host = str(parts.hostname)
    if host in _own_and_allowed(current_app.config):
        return
    # A dot at the end makes no other host: some programs leave it out, also of an address.
    for address in _addresses_if_known(name, host.removesuffix(".")):
        if not _may_be_called(address):
            raise InvalidOption(
                f"{name}: {host} is in a private network ({address}); use a public address, "
                "or have the operator name it in JOBS_CALLBACK_ALLOW"
            )


def _parts(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        good = parts.scheme in {"http", "https"} and _HOST.fullmatch(host) and parts.port != 0
    except ValueError:
        good = False
    if not good or _UNSAFE.search(url):
        raise InvalidOption(f"{name}: {quoted(url)} is not an absolute http(s) URL")
    if "@" in parts.netloc:
        raise InvalidOption(f"{name}: a URL must not have a user or password in it")
    return parts


def _takes_deliveries(parts: SplitResult, ours: SplitResult) -> bool:
    """Tell whether a call there, signed by QStash, would pass for a delivery.

    An endpoint that the app itself guards with `@signed` is meant for callbacks.
    """
    if _origin(parts) != _origin(ours) or not parts.path.startswith(f"{ours.path}/"):
        return False
    path = re.sub("/{2,}", "/", unquote(parts.path[len(ours.path) :]))
    try:
        rule, _ = current_app.url_map.bind("").match(path, method="POST", return_rule=True)
    except HTTPException:
        return False
    job_endpoints = {config.endpoint for config in current_app.extensions["jobs"].registry}
    return rule.rule in job_endpoints or rule.endpoint.startswith("jobs.")


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, str(parts.hostname).rstrip("."), parts.port or default


def _own_and_allowed(config: Mapping[str, Any]) -> set[str]:
    return {str(urlsplit(config["BASE_URL"]).hostname), *_entries(config)}


def _entries(config: Mapping[str, Any]) -> Iterator[str]:
    return filter(None, map(str.strip, config["JOBS_CALLBACK_ALLOW"].lower().split(",")))


def _addresses_if_known(name: str, host: str) -> set[Address]:
    """Return a host's addresses: none where nobody knows them, and QStash is the local server.

    That one calls from here, where the name means as little, and a laptop offline knows no names.
    """
    try:
        return _addresses(name, host)
    except (UnknownHost, Unresolved):
        if is_on_this_machine(current_app.config["QSTASH_URL"]):
            return set()
        raise


def _addresses(name: str, host: str) -> set[Address]:
    """Return all addresses of a host, which may also be written as a number, as curl takes it."""
    found = _looked_up(host)
    if isinstance(found, list):
        return {ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}
    if isinstance(found, UnicodeError) or getattr(found, "errno", None) in _UNKNOWN:
        raise UnknownHost(
            f"{name}: the host {host!r} is unknown; correct it, or have the operator name it in "
            "JOBS_CALLBACK_ALLOW, where no name is looked up"
        )
    raise Unresolved(f"{name}: {host} cannot be looked up: {found or 'no name server answers'}")


def _looked_up(host: str) -> Any:
    """Return what a host means, or the error; None where no name server answers in time.

    In its own thread: the system's resolver may block for any length of time.
    """
    answers: Queue[Any] = Queue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    Thread(target=look_up, name="jobs-resolver", daemon=True).start()
    try:
        return answers.get(timeout=PATIENCE)
    except Empty:
        return None


def _may_be_called(address: Address) -> bool:
    networks = [*_networks(current_app.config)]
    return all(
        _is_public(one) or any(one in network for network in networks) for one in _meant(address)
    )


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and not any(address in network for network in _ROUTED):
        return False
    set_aside = address.is_multicast or any(address in network for network in _SET_ASIDE)
    return address.is_global and not set_aside


def _meant(address: Address) -> Iterator[Address]:
    """Yield the address, and the IPv4 addresses that a tunnel or translator would make of it."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    else:
        # Python 3.13 calls all 6to4 addresses private, older ones none: what is in them decides.
        if address.sixtofour is None:
            yield address
        is_tunnel = int.from_bytes(address.packed[8:12], "big") in _ISATAP
        if is_tunnel or address in _NAT64:
            yield IPv4Address(address.packed[-4:])
        yield from filter(None, (address.sixtofour, *(address.teredo or ())))


def _networks(config: Mapping[str, Any]) -> Iterator[IPv4Network | IPv6Network]:
    for entry in _entries(config):
        with suppress(ValueError):
            yield ip_network(entry)
