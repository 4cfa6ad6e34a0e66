"""Addresses in the form that travels: ASCII, whatever letters a person typed.

A host or path with other letters passes a check in one form and is used in another: HTTP clients
convert it, each by its own rules, or refuse it.
"""

from ipaddress import ip_address
from unicodedata import normalize
from urllib.parse import quote, urlsplit, urlunsplit

import idna

#: What `quote` leaves as it is: all that has a meaning in a URL, and what is encoded already.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


def is_on_this_machine(url: str) -> bool:
    """Tell whether a URL's host is this machine itself, whatever network it is in."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def ascii_host(host: str) -> str:
    """Return a host's name in lower case, other letters than ASCII as punycode (IDNA 2008).

    Raises:
        ValueError: It is not a name that can be looked up.
    """
    if host.isascii():
        return host.lower()
    # A dialect of UTS 46 that browsers have: full-width letters and dots are what they look like.
    return idna.encode(host, uts46=True).decode().lower()


def ascii_url(url: str) -> str:
    """Return a URL as a client would send it: host in punycode, the rest percent-encoded.

    Raises:
        ValueError: Its host is not a name that can be looked up.
    """
    if url.isascii():
        return url
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.partition(":")
    netloc = f"{quote(user, _SAFE)}{at}{ascii_host(host)}{colon}{port}"
    rest = (quote(normalize("NFC", part), _SAFE) for part in parts[2:])
    return urlunsplit((parts.scheme, netloc, *rest))


def ascii_address(address: str) -> str:
    """Return an email address with its domain in the form that mail servers use and report.

    Raises:
        ValueError: Its domain is not a name that can be looked up.
    """
    local, at, domain = address.rpartition("@")
    return f"{normalize('NFC', local)}{at}{ascii_host(domain)}"
