"""The whole server: the API and the page over HTTP, in front of the services."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from .api import (
    dlq,
    faults,
    flow_control,
    keys,
    logs,
    messages,
    publish,
    queues,
    schedules,
    url_groups,
    usage,
)
from .api.http import Router, reply
from .page.page import Page
from .services import Services, start_services
from .settings import Settings

MODULES = (
    *(publish, messages, queues, schedules, url_groups, dlq, logs, keys, flow_control),
    *(faults, usage),
)
# A destination with a long query, and forwarded headers, are beyond aiohttp's defaults.
_MAX_LINE = 65_536
_MAX_HEADERS = 1_000

logger = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is accepting requests."""

    services: Services
    runner: web.ServerRunner
    url: str

    async def stop(self) -> None:
        """Stop accepting, finish attempts in flight, close the state file."""
        await self.runner.cleanup()
        await self.services.stop()


async def start_server(settings: Settings) -> Server:
    """Start serving; port 0 takes any free one.

    Raises:
        StateFileError: the state file cannot be used.
        OSError: it cannot listen on the address.
    """
    services = await start_services(settings)
    router = Router(services, [route for module in MODULES for route in module.ROUTES])
    handler = _HttpServer(
        _front(Page(services), router),
        request_factory=_request_factory(settings.limits.message_bytes),
        access_log=None,
        auto_decompress=False,  # a body is forwarded as it came, with its Content-Encoding
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        max_headers=_MAX_HEADERS,
    )
    runner = web.ServerRunner(handler, shutdown_timeout=2)
    try:
        await runner.setup()
        await _site(runner, settings).start()
    except BaseException:
        await runner.cleanup()
        await services.stop()
        raise
    return Server(services, runner, _url(runner, settings.host))


class _Connection(web.RequestHandler):
    """A connection that answers malformed HTTP with an error in the API's format."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or request.writer.output_size:
            return super().handle_error(request, status, exc, message)
        # The parser's lines after the first repeat what was sent, perhaps a token.
        reason = next(iter((message or "").strip().splitlines()), "bad request").rstrip(":")[:200]
        logger.info("Rejected a malformed HTTP request: %s", reason)
        response = reply({"error": f"not a valid HTTP request: {reason}"}, status)
        response.force_close()
        return response


class _HttpServer(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


def _site(runner: web.ServerRunner, settings: Settings) -> web.BaseSite:
    if settings.listening is None:
        return web.TCPSite(runner, settings.host, settings.port)
    return web.SockSite(runner, socket.socket(fileno=settings.listening))


async def serve_until(server: Server, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then stop in order."""
    try:
        await stop.wait()
    finally:
        await server.stop()


def _front(page: Page, router: Router) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await (page if page.owns(request) else router).handle(request)

    return handle


def _request_factory(body_limit: int) -> Callable[..., web.BaseRequest]:
    """Return a factory of requests that refuse to read a longer body."""

    def make(*parts: Any) -> web.BaseRequest:
        # The first five are what aiohttp.web.Server gives to every factory.
        message, payload, protocol, writer, task = parts
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=body_limit
        )

    return make


def _url(runner: web.ServerRunner, host: str) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
