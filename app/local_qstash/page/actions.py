"""The buttons: each calls the API's own handler and is answered with a redirect."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from ..api import dlq, flow_control, messages, queues, schedules
from ..api.http import Call, Handler
from ..errors import bad_request
from .dead_letters import matching_ids, newest_seq
from .page_request import PageRequest

_ONE: dict[tuple[str, str], Handler] = {
    ("messages", "cancel"): messages.cancel_message,
    ("messages", "deliver"): messages.retry_message,
    ("dead-letters", "retry"): dlq.retry_letter,
    ("dead-letters", "delete"): dlq.delete_letter,
    ("schedules", "pause"): schedules.pause_schedule,
    ("schedules", "resume"): schedules.resume_schedule,
    ("schedules", "delete"): schedules.delete_schedule,
    ("queues", "pause"): queues.pause_queue,
    ("queues", "resume"): queues.resume_queue,
    ("flow-control", "pause"): flow_control.pause_key,
    ("flow-control", "resume"): flow_control.resume_key,
}
_MANY: dict[str, Callable[[Call], Awaitable[Any]]] = {
    "retry-all": dlq.retry_letters,
    "delete-all": dlq.delete_letters,
}


async def act(request: PageRequest) -> web.Response:
    """Carry out the pressed button, then redirect to the page it was on.

    Raises:
        ApiError: 400 for an unknown button; otherwise the errors of the API's handler.
    """
    form = await request.form()
    action, name = form.get("action", ""), form.get("name", "")
    if request.section == "dead-letters" and action in _MANY:
        name = str(await _act_on_all(request, _MANY[action]))
    else:
        handler = _ONE.get((request.section, action))
        if handler is None or not name:
            raise bad_request(f"{action or 'nothing'}: the page has no such button")
        name = _new_id(await handler(request.press(name))) or name
    done = f"{request.section}.{action}"
    return see_other(_back(form.get("back", ""), f"/{request.section}", done=done, of=name))


def see_other(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location})


async def _act_on_all(request: PageRequest, handler: Callable[[Call], Awaitable[Any]]) -> int:
    """Act on every dead letter that the filters select, except those added meanwhile."""
    number, newest = 0, await newest_seq(request)
    while ids := await matching_ids(request, up_to=newest):
        await handler(request.press(dlqIds=ids))
        number += len(ids)
    return number


def _new_id(result: object) -> str | None:
    """Return the id of the new message of a retried dead letter."""
    if not isinstance(result, web.Response) or not isinstance(result.body, bytes):
        return None
    message_id = json.loads(result.body).get("messageId")
    return message_id if isinstance(message_id, str) else None


def _back(asked: str, fallback: str, **outcome: str) -> str:
    """Return the address to redirect to: one of our paths, never another site."""
    parts = urlsplit(asked if asked.startswith("/") and asked.isprintable() else fallback)
    path = "/" + parts.path.lstrip("/\\")
    return f"{path}?{'&'.join(part for part in (parts.query, urlencode(outcome)) if part)}"
