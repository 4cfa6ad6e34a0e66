"""The page's entry point: access, routing, and answers in HTML."""

import logging
import sqlite3
from functools import partial
from typing import Any

from aiohttp import web

from ..errors import ApiError
from ..services import Services
from ..store.schema import CANCELLED, CANCELLING, DELIVERED, FAILED, PENDING
from .access import Access
from .actions import act, see_other
from .dead_letters import list_letters
from .formatting import CAP
from .message_detail import show_message
from .message_list import list_messages
from .page_request import PageRequest, View, read_page_request
from .paging import link
from .render import Renderer, static_file
from .sections import list_flow_keys, list_groups, list_queues, list_schedules, show_setup

logger = logging.getLogger(__name__)

_VIEWS: dict[str, View] = {
    "": list_messages,
    "dead-letters": list_letters,
    "schedules": list_schedules,
    "queues": list_queues,
    "flow-control": list_flow_keys,
    "url-groups": list_groups,
    "setup": show_setup,
}
_OWN = {*_VIEWS, "messages", "static", "sign-in", "sign-out"}

_RETRYING = f"state = {PENDING} AND retried > 0"
_STORED = {
    "pending": f"messages WHERE state = {PENDING}",
    "retrying": f"messages WHERE {_RETRYING}",
    "delivered": f"messages WHERE state = {DELIVERED}",
    "failed": f"messages WHERE state = {FAILED}",
    "cancelling": f"messages WHERE state = {CANCELLING}",
    "cancelled": f"messages WHERE state = {CANCELLED}",
    "dead_letters": "dead_letters",
    "queues": "queues",
}
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {})) AS {}"
_SELECT = "SELECT " + ", ".join(
    _COUNT.format(source, CAP + 1, name) for name, source in _STORED.items()
)


class Page:
    """Answers all requests outside the API."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services.settings)
        self._renderer = Renderer()

    def owns(self, request: web.BaseRequest) -> bool:
        path = request.raw_path.partition("?")[0]
        return path.startswith("/") and path.split("/")[1] in _OWN

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; never raises because of the visitor."""
        try:
            return await self._answer(read_page_request(self._services, request))
        except ApiError as error:
            return self._refusal(error.status, str(error))
        except sqlite3.Error as error:
            return self._refusal(500, f"the state file cannot be used: {error}")
        except Exception:
            logger.exception("Internal error in %s %s", request.method, request.raw_path)
            return self._refusal(500, "internal error, see the server's log")

    async def _answer(self, request: PageRequest) -> web.StreamResponse:
        self._access.check(request.http)
        if request.http.method not in ("GET", "HEAD", "POST"):
            raise ApiError(405, f"{request.http.method} is not allowed here")
        if request.section == "static":
            return self._static(request)
        is_post = request.http.method == "POST"
        if is_post and request.section == "sign-in":
            return await self._sign_in(request)
        if not self._access.knows(request.http):
            return self._renderer.html("sign_in.html", {"wrong": False}, status=401)
        if is_post and request.section == "sign-out":
            return self._sign_out()
        return await (act(request) if is_post else self._show(request))

    async def _show(self, request: PageRequest) -> web.Response:
        view = _view(request)
        if view is None:
            raise ApiError(404, f"no such page: {request.http.raw_path}")
        shown = await view(request)
        counts = await self._services.store.run(partial(_read_counts, services=self._services))
        return self._renderer.html(shown.template, self._common(request, counts) | shown.values)

    def _common(self, request: PageRequest, counts: dict[str, int]) -> dict[str, Any]:
        return {
            "shell": "fragment.html" if request.is_poll else "document.html",
            "now": request.now,
            "section": request.section,
            "state": None,
            "here": link(request),
            "counts": counts,
            "host": request.host,
            "speed": self._services.settings.speed,
            "can_sign_out": self._access.asks_for_token,
            "done": request.query.get("done"),
            "of": request.query.get("of", ""),
        }

    def _static(self, request: PageRequest) -> web.Response:
        found = static_file(request.name or "")
        if found is None:
            raise ApiError(404, f"no such file: {request.name}")
        return found

    async def _sign_in(self, request: PageRequest) -> web.Response:
        response = see_other("/")
        if self._access.admit((await request.form()).get("token", ""), response):
            return response
        return self._renderer.html("sign_in.html", {"wrong": True}, status=401)

    def _sign_out(self) -> web.Response:
        response = see_other("/")
        self._access.dismiss(response)
        return response

    def _refusal(self, status: int, reason: str) -> web.Response:
        return self._renderer.html(
            "error.html", {"status": status, "reason": reason}, status=status
        )


def _view(request: PageRequest) -> View | None:
    if request.name is None:
        return _VIEWS.get(request.section)
    return show_message if request.section == "messages" else None


def _read_counts(db: sqlite3.Connection, services: Services) -> dict[str, int]:
    """Return the counts for the navigation, each capped: above the cap, it is the cap plus one.

    So they cost the same at any size.
    """
    return dict(db.execute(_SELECT).fetchone()) | {
        "active": services.engine.active,
        "schedules": len(services.schedules.schedules),
        "flows": len(services.flows.limits),
        "groups": len(services.groups.groups),
    }
