"""One attempt: a signed HTTP request to the destination, and what came back."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from ..errors import HttpError
from ..protocol.destinations import origin_of, wire_url
from ..protocol.headers import Pair, canonical
from ..protocol.signing import SigningKeys, sign
from ..protocol.text import readable, writable
from ..settings import Settings
from .http_client import HttpClient
from .message import Message


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt brought. `status` is 0 and `error` set when there was no HTTP answer."""

    status: int = 0
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    error: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status // 100 == 2  # noqa: PLR2004 - 2xx; a redirect is no delivery

    @property
    def problem(self) -> str:
        """Return what went wrong, for a log."""
        return self.error or f"destination answered {self.status}"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Transport(Protocol):
    """Sends attempts; `FaultyTransport` wraps the real one."""

    async def send(self, message: Message, body: bytes) -> Answer:
        """Make one attempt; a failure to do so is an `Answer` too."""

    async def close(self) -> None:
        """Let go of the connections."""


class HttpTransport:
    """The real transport: kept-alive connections, no redirects, capped answers."""

    def __init__(self, settings: Settings, keys: SigningKeys) -> None:
        self._limits = settings.limits
        self._origins = {origin_of(wire_url(key)): value for key, value in settings.origins.items()}
        self._keys = keys
        self._client = HttpClient()

    async def send(self, message: Message, body: bytes) -> Answer:
        seconds = min(
            message.options.timeout or self._limits.timeout_seconds, self._limits.timeout_seconds
        )
        started = monotonic()
        try:
            async with asyncio.timeout(seconds):
                return await self._request(message, body)
        except TimeoutError:
            return Answer(error=f"timed out after {monotonic() - started:.1f}s (limit {seconds}s)")
        except HttpError as error:
            return Answer(error=writable(str(error)[:1000]))
        except Exception as error:  # noqa: BLE001 - whatever a destination provokes is its failure
            text = f"{type(error).__name__}: {error}"[:1000]
            return Answer(error=writable(text))

    async def close(self) -> None:
        self._client.close()

    async def _request(self, message: Message, body: bytes) -> Answer:
        headers = self._headers(message, body)
        response = await self._client.request(
            message.options.method,
            self._mapped(wire_url(message.url), headers),
            headers,
            body,
            most=self._limits.response_bytes,
        )
        pairs = tuple((canonical(name), readable(value)) for name, value in response.headers)
        return Answer(response.status, pairs, response.body)

    def _headers(self, message: Message, body: bytes) -> list[Pair]:
        headers = [
            *message.options.headers,
            ("User-Agent", "Upstash-QStash"),
            ("Upstash-Signature", sign(self._keys.current, url=message.url, body=body)),
            ("Upstash-Message-Id", message.id),
            ("Upstash-Retried", str(message.retried)),
            ("Upstash-Region", "EU-CENTRAL-1"),
        ]
        optional = {
            "Upstash-Schedule-Id": message.schedule_id,
            "Upstash-Topic-Name": message.topic,
            "Upstash-Caller-Ip": message.caller_ip,
        }
        return headers + [(name, value) for name, value in optional.items() if value]

    def _mapped(self, url: str, headers: list[Pair]) -> str:
        """Return the URL to connect to; the Host header keeps naming the published one."""
        if not self._origins:
            return url
        origin = origin_of(url)
        target = self._origins.get(origin)
        if target is None:
            return url
        headers.append(("Host", origin.partition("://")[2]))
        return wire_url(target.rstrip("/") + url[len(origin) :])
