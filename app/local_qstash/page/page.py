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
from .message_detail import show_message
from .message_list import list_messages
from .paging import link
from .render import Renderer, static_file
from .sections import list_flow_keys, list_groups, list_queues, list_schedules, show_setup
from .visit import View, Visit, read_visit
from .words import CAP

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
            return await self._answer(read_visit(self._services, request))
        except ApiError as error:
            return self._refusal(error.status, str(error))
        except sqlite3.Error as error:
            return self._refusal(500, f"the state file cannot be used: {error}")
        except Exception:
            logger.exception("Internal error in %s %s", request.method, request.raw_path)
            return self._refusal(500, "internal error, see the server's log")

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        self._access.check(visit.request)
        if visit.request.method not in ("GET", "HEAD", "POST"):
            raise ApiError(405, f"{visit.request.method} is not allowed here")
        if visit.section == "static":
            return self._static(visit)
        is_post = visit.request.method == "POST"
        if is_post and visit.section == "sign-in":
            return await self._sign_in(visit)
        if not self._access.knows(visit.request):
            return self._renderer.html("sign_in.html", {"wrong": False}, status=401)
        if is_post and visit.section == "sign-out":
            return self._sign_out()
        return await (act(visit) if is_post else self._show(visit))

    async def _show(self, visit: Visit) -> web.Response:
        view = _view(visit)
        if view is None:
            raise ApiError(404, f"no such page: {visit.request.raw_path}")
        shown = await view(visit)
        counts = await self._services.store.run(partial(_read_counts, services=self._services))
        return self._renderer.html(shown.template, self._common(visit, counts) | shown.values)

    def _common(self, visit: Visit, counts: dict[str, int]) -> dict[str, Any]:
        return {
            "shell": "fragment.html" if visit.is_poll else "document.html",
            "now": visit.now,
            "section": visit.section,
            "state": None,
            "here": link(visit),
            "counts": counts,
            "host": visit.host,
            "speed": self._services.settings.speed,
            "can_sign_out": self._access.asks_for_token,
            "done": visit.query.get("done"),
            "of": visit.query.get("of", ""),
        }

    def _static(self, visit: Visit) -> web.Response:
        found = static_file(visit.name or "")
        if found is None:
            raise ApiError(404, f"no such file: {visit.name}")
        return found

    async def _sign_in(self, visit: Visit) -> web.Response:
        response = see_other("/")
        if self._access.admit((await visit.form()).get("token", ""), response):
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


def _view(visit: Visit) -> View | None:
    if visit.name is None:
        return _VIEWS.get(visit.section)
    return show_message if visit.section == "messages" else None


def _read_counts(db: sqlite3.Connection, services: Services) -> dict[str, int]:
    """Return the counts for the navigation, each capped: above the cap, it is the cap plus one.

    So they cost the same at any size.
    """
    return dict(db.execute(_SELECT).fetchone()) | {
        "active": services.engine.active,
        "schedules": len(services.schedules.schedules),
        "flows": len(services.flows.lanes),
        "groups": len(services.groups.groups),
    }
