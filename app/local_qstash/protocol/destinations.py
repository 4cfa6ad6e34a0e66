"""Where a message goes: the raw rest of a request's path, byte for byte as it was sent."""

import re
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from ..errors import bad_request
from .text import readable

_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_NO_HOST = re.compile(r"[\x00-\x20\x7f/?#@\\%]")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_INVALID = "invalid destination url"
NO_LANGUAGE_MODEL = (
    "the local server asks no language model: publish to a provider's own URL, "
    "as https://api.openai.com/v1/chat/completions"
)
# A destination at QStash itself that is not served -> why.
_ABSENT = {"api/llm": NO_LANGUAGE_MODEL}


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
            decoded = unquote_plus(value, errors="surrogateescape")
            config.append((name, readable(decoded)))
        elif name != "qstash_token":
            kept.append(part)
    # A lone "?" is part of the URL as published; one that only carried configuration is not.
    return (f"{path}?{'&'.join(kept)}" if kept else path), config


def is_url(destination: str) -> bool:
    return destination[:8].lower().startswith(("http://", "https://"))


def check_url(url: str, name: str = _INVALID) -> None:
    """Refuse anything but an absolute http or https URL.

    Raises:
        ApiError: 400, with `name` before the reason.
    """
    if url.split("?", 1)[0] in _ABSENT:
        raise bad_request(f"{name}: {url}: {_ABSENT[url.split('?', 1)[0]]}")
    if not is_url(url):
        raise bad_request(f"{name}: endpoint has invalid scheme, add http:// or https://")
    if _SPACE_OR_CONTROL.search(url):
        raise bad_request(f"{name}: endpoint contains a space or control character")
    try:
        parts = urlsplit(wire_url(url))
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from None
    if not valid:
        raise bad_request(f"{name}: endpoint has no valid host or port")


@lru_cache(maxsize=1024)
def wire_url(url: str) -> str:
    """Return a URL as it is sent, in ASCII: the host by IDNA, other characters percent-encoded.

    ASCII stays as it was published, since the receiver verifies the URL.

    Raises:
        ValueError: the host is not a host name.
    """
    if url.isascii() and "%" not in url.split("?", 1)[0]:
        return url
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host_port = authority.rpartition("@")
    host = _ascii_host(host_port)
    return f"{scheme}://{_escaped(user)}{at}{host}{_escaped(rest[len(authority) :])}"


def _ascii_host(host_port: str) -> str:
    decoded = unquote(host_port, errors="strict")
    if host_port.startswith("[") or (decoded.isascii() and decoded == host_port):
        return host_port
    if _NO_HOST.search(decoded):
        raise ValueError(f"{decoded!r} is not a host name")
    host, colon, port = decoded.rpartition(":") if ":" in decoded else (decoded, "", "")
    # Comes with the extra `dev`, and every `flask` command imports this module.
    from yarl import URL  # noqa: PLC0415

    name = URL(f"http://{host}/").raw_host
    if not name or not _HOST.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return f"{name}{colon}{port}"


def _escaped(text: str) -> str:
    return _NOT_ASCII.sub(lambda found: quote(found[0]), text)


def check_name(name: object, what: str) -> str:
    """Return `name` if it is valid: letters, digits, `-`, `_` and `.`, at most 256 characters.

    Raises:
        ApiError: 400, naming what the name is for.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad_request(f"invalid {what} {name!r}: use letters, digits, '-', '_' and '.'")
    return name


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, in lower case: the key for sharing connections."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{authority}".lower()
