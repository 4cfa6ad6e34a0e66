"""Requests to QStash over connections that are kept open, for QStash's SDK.

The SDK's own client, httpx, takes four times the CPU time for the same request, and most of what an
enqueue costs is its publish.
"""

import json
import os
import re
import select
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message as Headers
from http import HTTPStatus
from http.client import HTTPConnection, HTTPSConnection, RemoteDisconnected
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

#: Seconds after which an unused connection is replaced: before proxies and firewalls on the way
#: forget it, often without a word.
IDLE = 30

#: A connection that the other side has closed meanwhile fails with one of these when it is used.
_CLOSED = (RemoteDisconnected, BrokenPipeError, ConnectionResetError)
# Firewalls may turn away who does not say what it is.
_NAMED = {"User-Agent": "flask-qstash-jobs"}
_PLAIN = re.compile(r"[!$&'()*+,;=:@/?.~_A-Za-z0-9-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds for each phase of a request; connecting counts twice with TLS."""

    connect: float
    write: float
    read: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, with those attributes of an `httpx.Response` that the SDK reads."""

    status_code: int
    headers: Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status_code < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.content)


class KeepAliveClient:
    """What the SDK needs of an `httpx.Client`, for one server; may be used by many threads."""

    def __init__(self, url: str, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        server = urlsplit(url)
        self._is_secure = server.scheme == "https"
        self._host, self._port = server.hostname or "", server.port
        self._origin = f"{server.scheme}://{server.netloc}"
        self._limits = limits
        self._context = tls
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        self._pid = os.getpid()
        self._is_closed = False

    def request(
        self,
        *,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        content: str | bytes | None,
    ) -> Answer:
        """Make a request and return what is answered, whatever it says.

        On a connection that turns out to be closed it is made again on a new one.

        Raises:
            OSError, http.client.HTTPException: There is no answer.
        """
        target = self._target(url, params)
        body = content.encode() if isinstance(content, str) else content
        if kept := self._take():
            try:
                return self._exchange(kept, method, target, headers, body)
            except _CLOSED:
                pass
        return self._exchange(self._connect(), method, target, headers, body)

    def close(self) -> None:
        """Close what nobody uses, and have what is in use closed after its answer."""
        self._is_closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while kept := self._take():
            kept.close()

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        try:
            connection.sock.settimeout(self._limits.write)
            connection.request(method, target, body, _NAMED | dict(headers))
            connection.sock.settimeout(self._limits.read)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except BaseException:  # also of a time limit: the connection is between two messages
            connection.close()
            raise
        if not response.will_close:
            self._idle.append((connection, monotonic()))
        if self._is_closed:  # meanwhile, by another thread
            self._close_idle()
        return answer

    def _take(self) -> HTTPConnection | None:
        """Return a connection that nobody uses, still open and not too old, if there is one."""
        if self._pid != os.getpid():  # a fork's connections are its parent's
            self._idle, self._pid = deque(), os.getpid()
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if monotonic() - since < IDLE and _is_silent(connection):
                return connection
            connection.close()

    def _connect(self) -> HTTPConnection:
        if self._is_secure:
            connection: HTTPConnection = HTTPSConnection(
                self._host, self._port, timeout=self._limits.connect, context=self._tls()
            )
        else:
            connection = HTTPConnection(self._host, self._port, timeout=self._limits.connect)
        connection.connect()
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            import httpx  # noqa: PLC0415 - slow to import, and loaded with the SDK by now

            self._context = httpx.create_ssl_context()
        return self._context

    def _target(self, url: str, params: Mapping[str, str] | None) -> str:
        """Return what stands in the request's first line, as httpx would write it."""
        target = url.removeprefix(self._origin)
        if not params and _PLAIN.fullmatch(target):
            return target
        import httpx  # noqa: PLC0415 - as above

        return httpx.URL(url, params=params).raw_path.decode()


def _is_silent(connection: HTTPConnection) -> bool:
    """Tell whether nothing came on a connection that nobody uses.

    Its end may have, or what some servers say at that: a 408, or a 400. It would be taken for the
    answer to the next request, whose job would then be one that QStash refused.
    """
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def context_of(client: Any) -> ssl.SSLContext | None:
    """Return whom an `httpx.Client` trusts, as it has loaded it; None where that cannot be seen.

    To load the certificates again would take as long as all else before a first publish.
    """
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    found = getattr(pool, "_ssl_context", None)
    return found if isinstance(found, ssl.SSLContext) else None


def needs_a_proxy(url: str) -> bool:
    """Tell whether the environment names a proxy for this URL, with which httpx can deal."""
    server = urlsplit(url)
    proxies = getproxies()
    return bool({server.scheme, "all"} & proxies.keys()) and not proxy_bypass(server.hostname or "")
