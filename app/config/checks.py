"""Checks of the values of settings; each raises a `ValidationError` for a bad one."""

import re
from base64 import urlsafe_b64decode
from email.utils import parseaddr
from importlib.util import find_spec
from ipaddress import ip_network
from urllib.parse import urlsplit

from limits import parse_many
from marshmallow import ValidationError
from marshmallow.validate import Range

FERNET_BYTES = 32
ONE_OF = "{input} is not one of {choices}."
ABOVE_ZERO = Range(min=0, min_inclusive=False)
AT_LEAST_ZERO = Range(min=0)

# Spaces, backslashes and invisible characters: programs disagree on their meaning in a URL.
_ODD = re.compile(r"[\s\\<>\"\x00-\x1f\x7f]")
_HOST = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*", re.IGNORECASE | re.ASCII)


def is_database(value: str) -> None:
    scheme, separator, _ = value.partition("://")
    if value and (not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}):
        raise ValidationError("is not a URL like postgresql://user:password@host:5432/database.")
    _refuse_other_letters(value)


def _refuse_other_letters(url: str) -> None:
    """Refuse a host that its client would not look up as written; quotes only the host."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise ValidationError("has no valid host name.") from None
    if not host.isascii():
        raise ValidationError(f"must have an ASCII host; write it as {_in_ascii(host)}.")


def are_keys(value: str) -> None:
    for key in value.split(","):
        try:
            length = len(urlsafe_b64decode(key.strip()))
        except ValueError:
            length = 0
        if length != FERNET_BYTES:
            raise ValidationError("contains a key that is not 32 bytes in URL-safe base64.")


def is_rate(value: str) -> None:
    try:
        parse_many(value)
    except ValueError:
        raise ValidationError("is not a rate like 600/minute.") from None


def is_storage(value: str) -> None:
    if "://" not in value:
        raise ValidationError("is neither memory:// nor a URL like redis://localhost:6379/0.")
    _refuse_other_letters(value)
    if value.startswith("redis") and find_spec("redis") is None:
        raise ValidationError("needs the extra redis: pip install '.[redis]'.")


def is_url(value: str) -> None:
    """Accept a URL in the one form that all clients use and QStash signs: plain ASCII."""
    if not _is_plain(value):
        raise ValidationError("is not a URL like https://app.example.com.")
    if not value.isascii():
        raise ValidationError(f"must be ASCII; write it as {_in_ascii(value)}.")


def is_address(value: str) -> None:
    """Accept an email address, optionally with a name: `Acme <mail@example.com>`."""
    address = parseaddr(value)[1]
    local, _, domain = address.rpartition("@")
    if not local or not domain or _ODD.search(address):
        raise ValidationError("is not an email address like mail@example.com.")
    if not domain.isascii():
        raise ValidationError(f"must have an ASCII domain; write it as {_address(address)}.")


def is_url_or_empty(value: str) -> None:
    if value:
        is_url(value.partition("?")[0])
        if not value.isascii():
            raise ValidationError("must be ASCII; percent-encode its query.")


def is_address_or_empty(value: str) -> None:
    if value:
        is_address(value)


def _is_plain(value: str) -> bool:
    try:
        parts = urlsplit(value)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    extra = parts.query or parts.fragment or "@" in parts.netloc or value.endswith(("?", "#"))
    return bool(known) and not extra and not _ODD.search(value)


def _in_ascii(text: str) -> str:
    from app.jobs.kit import ascii_host, ascii_url  # noqa: PLC0415 - slow, and rarely needed

    try:
        return ascii_url(text) if "://" in text else ascii_host(text)
    except ValueError:
        return "with a valid host name"


def _address(address: str) -> str:
    from app.jobs.kit import ascii_address  # noqa: PLC0415 - as above

    try:
        return ascii_address(address)
    except ValueError:
        return "with a valid domain"


def is_store(value: str) -> None:
    _refuse_other_letters(value)
    parts = urlsplit(value)
    if value != "local" and not (parts.scheme == "s3" and parts.hostname and not parts.query):
        raise ValidationError("is neither local nor a URL like s3://bucket/folder.")


def are_destinations(value: str) -> None:
    for entry in filter(None, map(str.strip, value.split(","))):
        try:
            ip_network(entry)
        except ValueError:
            # An entry that looks like an address must be one.
            if not _HOST.fullmatch(entry) or entry.rpartition(".")[2].isdecimal():
                raise ValidationError(
                    f"{entry} is neither a host such as hooks.example.com nor a network such as "
                    "10.1.0.0/16."
                ) from None
