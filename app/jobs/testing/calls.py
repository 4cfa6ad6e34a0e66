"""Records the HTTP requests of a handler.

It sees `httpx.Client` and everything built on `http.client`: requests, urllib3, urllib, and so
most SDKs. It does not see asyncio clients, sockets, and requests that a mock answers above
`http.client` (such as the package `responses`): let those talk to a local server instead.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

HARMLESS = {"GET", "HEAD", "OPTIONS", "TRACE"}
IDEMPOTENT = {"PUT", "DELETE"}
KEY_HEADER = "idempotency-key"
HTTPS = 443


@dataclass(slots=True)
class Call:
    """A request; `key` is its idempotency key, from a header such as `Idempotency-Key`."""

    method: str
    url: str
    key: str | None = None
    body: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        key = f"with Idempotency-Key {self.key}" if self.key else "without an Idempotency-Key"
        return f"{self.method} {self.url} {key}"


@contextmanager
def recorded(*, but: str) -> Iterator[list[Call]]:
    """Yield the list to which all requests of this process are added, in order.

    Args:
        but: Requests below this URL are ignored.
    """
    calls: list[Call] = []
    with _recorded_httpx(calls, but), _recorded_http_client(calls, but):
        yield calls


def repeated(first: Sequence[Call], again: Sequence[Call]) -> list[str]:
    """Return the requests of a second run that have effects beyond the first run's.

    Reads have none; PUT and DELETE may be repeated, anything else with the same key and body.
    """
    return [_verdict(call, first) for call in again if not _is_harmless(call, first)]


def _is_harmless(call: Call, first: Sequence[Call]) -> bool:
    return call.method in HARMLESS or (
        call in first and (call.key is not None or call.method in IDEMPOTENT)
    )


def _verdict(call: Call, first: Sequence[Call]) -> str:
    if call.key is not None and any(call.key == other.key for other in first):
        return f"{call}, which stood for another request before"
    if any((call.method, call.url) == (other.method, other.url) for other in first):
        return f"{call}, once more"
    return f"{call}, which the first run did not make"


@contextmanager
def _recorded_httpx(calls: list[Call], but: str) -> Iterator[None]:
    import httpx  # noqa: PLC0415 - slow to import, and here for QStash's SDK only

    send = httpx.Client.send

    def recording(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        body = bytearray(request.read())
        call = Call(request.method, str(request.url), _key(request.headers.items()), body)
        _keep(calls, call, but)
        return send(client, request, **options)

    with patch.object(httpx.Client, "send", recording):
        yield


@contextmanager
def _recorded_http_client(calls: list[Call], but: str) -> Iterator[None]:
    under_way: WeakKeyDictionary[HTTPConnection, Call] = WeakKeyDictionary()
    start, header, send = (
        HTTPConnection.putrequest,
        HTTPConnection.putheader,
        HTTPConnection.send,
    )

    def starting(at: HTTPConnection, method: str, url: str, *args: Any, **options: Any) -> None:
        origin = f"{'https' if at.default_port == HTTPS else 'http'}://{at.host}:{at.port}"
        under_way[at] = Call(method, origin + url)
        _keep(calls, under_way[at], but)
        start(at, method, url, *args, **options)

    def adding(at: HTTPConnection, name: Any, *values: Any) -> None:
        name = name.decode() if isinstance(name, bytes) else name
        under_way[at].key = under_way[at].key or _key([(name, _text(values[0]))])
        header(at, name, *values)

    def sending(at: HTTPConnection, data: Any) -> None:
        if at in under_way and isinstance(data, bytes) and not _is_head(data, under_way[at]):
            under_way[at].body += data
        send(at, data)

    recording: dict[str, Any] = {"putrequest": starting, "putheader": adding, "send": sending}
    with patch.multiple(HTTPConnection, **recording):
        yield


def _keep(calls: list[Call], call: Call, but: str) -> None:
    if not call.url.startswith(but):
        calls.append(call)


def _key(headers: Any) -> str | None:
    found = [value for name, value in headers if str(name).lower().endswith(KEY_HEADER)]
    return str(found[0]) if found else None


def _is_head(data: bytes, call: Call) -> bool:
    return data.startswith(f"{call.method} ".encode()) and b" HTTP/1." in data.partition(b"\r\n")[0]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
