"""Requests to handlers: routing on the raw path, credentials, errors in QStash's shape."""

import hmac
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

from ..browsers import check_host, check_no_other_site
from ..errors import ApiError, bad_request
from ..protocol.destinations import NO_LANGUAGE_MODEL
from ..protocol.headers import Pair
from ..protocol.text import parse_json, readable
from ..services import Services

logger = logging.getLogger(__name__)

_WORKFLOW = "Upstash Workflow's endpoints are not part of the local QStash server"
# Paths that QStash limits by the day and not by the second; and what is only this server's.
_UNHURRIED = ("/v2/publish/", "/v2/enqueue/", "/v2/batch", "/local/")
# First two parts of a QStash path that is not served -> why.
_ABSENT = dict.fromkeys(
    ("v2/trigger", "v2/workflows", "v2/notify", "v2/waiters", "v2/wait"), _WORKFLOW
) | {
    "v2/bulkActions": "the local server has none: a bulk cancel is over when it is answered",
    "llm/v1": NO_LANGUAGE_MODEL,
}


@dataclass(slots=True)
class Call:
    """One API request. `names` are the path's variable parts, decoded; `raw` is its raw rest."""

    services: Services
    request: web.BaseRequest
    names: tuple[str, ...] = ()
    raw: str = ""

    @property
    def headers(self) -> list[Pair]:
        """Return the request's headers as text, whatever their bytes were."""
        return [(name, readable(value)) for name, value in self.request.headers.items()]

    async def body(self, limit: int | None = None) -> bytes:
        """Read the body.

        Raises:
            ApiError: 413 beyond `limit` bytes; by default the limit of one message.
        """
        # aiohttp's limit is that of a message; see server.py.
        request = self.request.clone(client_max_size=limit) if limit else self.request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            allowed = limit or self.services.settings.limits.message_bytes
            raise ApiError(413, f"request body exceeds {allowed} bytes") from None

    async def json(self, *, optional: bool = False, limit: int | None = None) -> Any:
        """Read the body as JSON; an empty one is None if it is `optional`.

        Raises:
            ApiError: 400 when it is not JSON.
        """
        body = await self.body(limit)
        if optional and not body.strip():
            return None
        try:
            return parse_json(body)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"request body is not valid JSON: {error}") from None

    def query(self) -> dict[str, list[str]]:
        text = self.request.raw_path.partition("?")[2]
        parameters = parse_qs(text, keep_blank_values=True)
        parameters.pop("qstash_token", None)
        return parameters


Handler = Callable[[Call], Awaitable[Any]]
Route = tuple[str, str, Handler]  # method, pattern, handler


class Router:
    """Routes on the undecoded path, because a destination in it must survive byte for byte.

    A pattern is a path, under /v2 unless it starts with a slash, in which `*` stands for one part
    and a final `**` for the rest.
    """

    def __init__(self, services: Services, routes: Iterable[Route]) -> None:
        self._services = services
        self._token = services.settings.credentials.token
        self._bound_to = services.settings.host
        self._routes: dict[tuple[str, ...], list[tuple[str, list[str], Handler]]] = {}
        for method, pattern, handler in routes:
            path = pattern if pattern.startswith("/") else f"/v2/{pattern}"
            parts = path.split("/")[1:]
            self._routes.setdefault(tuple(parts[:2]), []).append((method, parts, handler))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises because of the client."""
        try:
            result = await self._dispatch(request)
        except ApiError as error:
            return reply({"error": str(error)}, error.status, error.headers)
        except sqlite3.Error as error:
            return reply({"error": f"the state file cannot be written: {error}"}, 500)
        except Exception:
            logger.exception("Internal error in %s %s", request.method, request.raw_path)
            return reply({"error": "internal error, see the server's log"}, 500)
        return result if isinstance(result, web.StreamResponse) else reply(result)

    async def _dispatch(self, request: web.BaseRequest) -> Any:
        path = request.raw_path
        check_host(request, self._bound_to)
        check_no_other_site(request, self._bound_to)
        if path.split("?", 1)[0] == "/healthz":
            whose = self._services.settings.instance
            return {"status": "ok"} if whose is None else {"status": "ok", "instance": whose}
        self._authenticate(request)
        handler, call = self._find(request, path)
        if not path.startswith(_UNHURRIED):
            self._services.usage.check_burst()
        return await handler(call)

    def _authenticate(self, request: web.BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            query = parse_qs(request.raw_path.partition("?")[2])
            token = query.get("qstash_token", [""])[0]
        expected = self._token.encode()
        if not hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), expected):
            raise ApiError(401, "unable to authenticate: invalid token")

    def _find(self, request: web.BaseRequest, path: str) -> tuple[Handler, Call]:
        segments = path.split("?", 1)[0].split("/")[1:]
        plain = segments[:-1] if len(segments) > 2 and not segments[-1] else segments  # noqa: PLR2004 - /v2/queues/
        wrong_method = False
        for method, pattern, handler in self._routes.get(tuple(segments[:2]), ()):
            names = _match(pattern, segments if pattern[-1] == "**" else plain)
            if names is None:
                continue
            if method == request.method:
                skipped = 3 + len(names) - (pattern[-1] == "**")
                return handler, Call(self._services, request, names, path.split("/", skipped)[-1])
            wrong_method = True
        if wrong_method:
            raise ApiError(405, f"{request.method} is not allowed on {path}")
        raise ApiError(404, _missing(segments, path))


def reply(result: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = b"" if result is None else json.dumps(result).encode()
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _match(pattern: list[str], segments: list[str]) -> tuple[str, ...] | None:
    """Return the variable parts of a path that matches the pattern, or None."""
    rest = pattern[-1] == "**"
    if len(segments) < len(pattern) if rest else len(segments) != len(pattern):
        return None
    pairs = list(zip(pattern, segments, strict=False))
    if any(part not in ("*", "**", segment) for part, segment in pairs):
        return None
    return tuple(unquote(segment) for part, segment in pairs if part in ("*", "**"))


def _missing(segments: list[str], path: str) -> str:
    reason = _ABSENT.get("/".join(segments[:2]))
    return f"{path}: {reason}" if reason else f"no such endpoint: {path}"
