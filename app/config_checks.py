"""What the value of a setting must look like; each check raises a `ValidationError` otherwise."""

import re
from base64 import urlsafe_b64decode
from importlib.util import find_spec
from ipaddress import ip_network
from urllib.parse import urlsplit

from limits import parse_many
from marshmallow import ValidationError

FERNET_BYTES = 32

_HOST = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*", re.IGNORECASE)


def is_database(value: str) -> None:
    scheme, separator, _ = value.partition("://")
    if value and (not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}):
        raise ValidationError("is no URL like postgresql://user:password@host:5432/database.")


def are_keys(value: str) -> None:
    for key in value.split(","):
        try:
            length = len(urlsafe_b64decode(key.strip()))
        except ValueError:
            length = 0
        if length != FERNET_BYTES:
            raise ValidationError("has a key that is not 32 bytes in URL-safe base64.")


def is_rate(value: str) -> None:
    try:
        parse_many(value)
    except ValueError:
        raise ValidationError("is no rate like 600/minute.") from None


def is_storage(value: str) -> None:
    if "://" not in value:
        raise ValidationError("is neither memory:// nor a URL like redis://localhost:6379/0.")
    if value.startswith("redis") and find_spec("redis") is None:
        raise ValidationError("needs the extra redis: pip install '.[redis]'.")


def is_url(value: str) -> None:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ValidationError("is no URL like https://app.example.com.")


def is_store(value: str) -> None:
    parts = urlsplit(value)
    if value != "local" and not (parts.scheme == "s3" and parts.hostname and not parts.query):
        raise ValidationError("is neither local nor a URL like s3://bucket/folder.")


def are_destinations(value: str) -> None:
    for entry in filter(None, map(str.strip, value.split(","))):
        try:
            ip_network(entry)
        except ValueError:
            # What looks like an address must be one.
            if not _HOST.fullmatch(entry) or entry.rpartition(".")[2].isdecimal():
                raise ValidationError(
                    f"{entry} is neither a host such as hooks.example.com nor addresses such as "
                    "10.1.0.0/16."
                ) from None
