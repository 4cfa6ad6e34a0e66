"""Where a message goes: the raw rest of a request's path, byte for byte as it was sent."""

import re
from functools import lru_cache
from urllib.parse import unquote_plus, urlsplit

from .errors import bad_request

_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_INVALID = "invalid destination url"


def split_target(raw: str) -> tuple[str, list[tuple[str, str]]]:
    """Divide `https://host/path?query` into the destination and the configuration in its query.

    Keys that start with `upstash-` are configuration, `qstash_token` is a credential; all else
    belongs to the destination and keeps its spelling, since the signature covers it.
    """
    path, mark, query = raw.partition("?")
    config, kept = [], []
    for part in query.split("&") if mark else ():
        name, _, value = part.partition("=")
        if name.startswith("upstash-"):
            config.append((name, unquote_plus(value)))
        elif name != "qstash_token":
            kept.append(part)
    # A lone "?" is part of the URL as published; one that only carried configuration is not.
    return (f"{path}?{'&'.join(kept)}" if kept else path), config


def is_url(destination: str) -> bool:
    return destination[:8].lower().startswith(("http://", "https://"))


def check_url(url: str, name: str = _INVALID) -> None:
    """Refuse what is no absolute http or https URL.

    Raises:
        ApiError: 400, with `name` before the reason.
    """
    if not is_url(url):
        raise bad_request(f"{name}: endpoint has invalid scheme, add http:// or https://")
    if _SPACE_OR_CONTROL.search(url):
        raise bad_request(f"{name}: endpoint contains a space or control character")
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from None
    if not valid:
        raise bad_request(f"{name}: endpoint has no valid host or port")


def check_name(name: object, what: str) -> str:
    """Return `name` if it is one: letters, digits, `-`, `_` and `.`, at most 256 of them.

    Raises:
        ApiError: 400, naming what the name is for.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad_request(f"invalid {what} {name!r}: use letters, digits, '-', '_' and '.'")
    return name


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, in lower case: what connections are shared by."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{authority}".lower()
