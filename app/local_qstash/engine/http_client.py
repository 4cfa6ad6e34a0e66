"""A small HTTP/1.1 client over kept-alive connections: what a delivery needs, and no more.

A general client costs a delivery as much as all else that the server does for it. This one follows
no redirect, decompresses nothing, and never sends a request twice: one that a destination cut off
may have been worked on, so that is for QStash's own retries.
"""

import asyncio
import ssl
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast
from urllib.parse import unquote_to_bytes, urlsplit

from ..errors import HttpError
from ..protocol.headers import Pair
from ..protocol.http_response import Reader, Response, read_response

# Idle connections are dropped before any common server would (gunicorn after 2 s): a request sent
# on a connection that the other side is just closing would count as a failed attempt.
_IDLE_SECONDS = 1.0
_SECOND_ADDRESS_SECONDS = 0.25  # until a host's next address is tried as well
_APART = 64 * 1024  # bytes of a body that is not copied behind its head


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: an origin to connect to, and what to ask for there."""

    host: str
    port: int
    tls: bool
    path: str
    headers: tuple[Pair, ...]

    @property
    def origin(self) -> tuple[str, int, bool]:
        return self.host, self.port, self.tls


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Take an absolute http or https URL in ASCII apart.

    Raises:
        ValueError: it has no valid host or port.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    account, _, authority = parts.netloc.rpartition("@")
    headers = [("Host", authority)]
    if account:
        given = b":".join(map(unquote_to_bytes, account.partition(":")[::2]))
        headers.append(("Authorization", f"Basic {b64encode(given).decode()}"))
    asked = url.partition("//")[2].removeprefix(parts.netloc).partition("#")[0]
    path = asked if asked.startswith("/") else f"/{asked}"
    return Target(parts.hostname or "", parts.port or (443 if tls else 80), tls, path, (*headers,))


class HttpClient:
    """Sends requests, each on a connection that no other one uses at the time.

    Created and used on one event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, url: str, headers: Sequence[Pair], body: bytes, *, most: int
    ) -> Response:
        """Send a request and read its response, with at most `most` bytes of its body.

        Raises:
            HttpError: there is no connection, or the response is malformed or ended too early.
            OSError: the connection broke.
            ValueError: the URL or a header cannot be sent.
        """
        target = target_of(url)
        head = _head(method, target, headers, len(body))
        connection = self._take_idle(target) or await self._connect(target)
        try:
            response = await connection.exchange(head, body, most)
        except BaseException:
            connection.transport.abort()
            raise
        if response.reusable and connection.is_quiet:
            self._keep(target, connection)
        else:
            connection.transport.abort()
        return response

    def close(self) -> None:
        """Let go of the connections; none of them has a request."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.transport.abort()
        self._idle.clear()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _connect(self, target: Target) -> "_Connection":
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self._loop),
                target.host,
                target.port,
                ssl=self._tls if target.tls else None,
                happy_eyeballs_delay=_SECOND_ADDRESS_SECONDS,
            )
        except OSError as error:
            where = f"{target.host}:{target.port}"
            raise HttpError(f"cannot connect to {where}: {error}") from error
        return connection

    def _take_idle(self, target: Target) -> "_Connection | None":
        connections = self._idle[target.origin]
        while connections:
            connection = connections.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def _keep(self, target: Target, connection: "_Connection") -> None:
        connection.idle_since = self._loop.time()
        self._idle[target.origin].append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(_IDLE_SECONDS, self._drop_idle)

    def _drop_idle(self) -> None:
        """Close what has been idle for long, and come again while anything is left."""
        begun = self._loop.time() - _IDLE_SECONDS
        for origin, connections in list(self._idle.items()):
            while connections and connections[0].idle_since <= begun:
                connections.pop(0).transport.abort()
            if not connections:
                del self._idle[origin]
        self._sweep = None
        if self._idle:
            self._sweep = self._loop.call_later(_IDLE_SECONDS / 4, self._drop_idle)


class _Connection(asyncio.Protocol):
    """A connection to one origin, with one request at a time."""

    transport: asyncio.Transport
    idle_since = 0.0
    _reader: Reader | None = None
    _response: asyncio.Future[Response]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # as those of sockets are

    async def exchange(self, head: bytes, body: bytes, most: int) -> Response:
        self._response = self._loop.create_future()
        self._reader = read_response(most)
        next(self._reader)
        if len(body) < _APART:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        return await self._response

    @property
    def is_quiet(self) -> bool:
        """Say whether all that was to be sent has been, and nothing more has come."""
        return not self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    def eof_received(self) -> None:
        self._feed(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._reader is not None and not self._response.done():
            self._response.set_exception(exc)
        self._feed(b"")

    def _feed(self, piece: bytes) -> None:
        if self._reader is None or self._response.done():  # idle: nothing more is to come
            self.transport.abort()
            return
        try:
            self._reader.send(piece)
        except StopIteration as end:
            self._response.set_result(end.value)
        except HttpError as error:
            self._response.set_exception(error)


def _head(method: str, target: Target, headers: Sequence[Pair], length: int) -> bytes:
    given = {name for name, _ in headers}
    own = [pair for pair in (*target.headers, ("Accept", "*/*")) if pair[0] not in given]
    if length or method != "GET":
        own.append(("Content-Length", str(length)))
    lines = [f"{method} {target.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (*own, *headers)]
    text = "\r\n".join([*lines, "", ""])
    if text.count("\n") != len(lines) + 1:
        raise ValueError("a header has a line break in it")
    return text.encode()
