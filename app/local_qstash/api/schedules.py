"""Schedules."""

import sqlite3
from typing import Any

from ..engine.schedules import Schedule
from ..errors import bad_request, not_found
from ..protocol.cron import parse_cron
from ..protocol.destinations import check_name, is_url
from ..protocol.ids import new_id
from ..store.schema import DELIVERED, FAILED
from .http import Call, Route
from .publish import read_order
from .views import schedule_view

_STATES = {DELIVERED: "SUCCESS", FAILED: "FAIL"}
_LAST_FIRING = (
    "SELECT id, state FROM messages WHERE schedule_id = ? AND created_at >= ? ORDER BY seq"
)


async def create_schedule(call: Call) -> Any:
    """Create a schedule or replace the one with the given id."""
    if not is_url(call.raw) and call.raw.split("?")[0].endswith(("/pause", "/resume")):
        return await _post_pause(call)
    order = await read_order(call, call.raw)
    values = dict(order.pairs)
    parse_cron(values.get("upstash-cron", ""))
    if "upstash-not-before" in values:
        raise bad_request("Upstash-Not-Before: a schedule takes Upstash-Delay only")
    given, queue = values.get("upstash-schedule-id"), values.get("upstash-queue-name")
    schedule = Schedule(
        id=new_id("scd") if given is None else check_name(given, "schedule id"),
        destination=order.destination,
        cron=values["upstash-cron"],
        pairs=order.pairs,
        body=order.body,
        queue=None if queue is None else check_name(queue, "queue name"),
        caller_ip=order.caller_ip,
    )
    await call.services.schedules.save(schedule)
    return {"scheduleId": schedule.id}


async def list_schedules(call: Call) -> Any:
    found = sorted(call.services.schedules.schedules.values(), key=lambda one: one.created_at)
    return [await _view(call, schedule) for schedule in found]


async def get_schedule(call: Call) -> Any:
    return await _view(call, _existing(call, call.names[0]))


async def delete_schedule(call: Call) -> None:
    schedule = _existing(call, call.names[0])
    await call.services.schedules.delete(schedule.id)


async def pause_schedule(call: Call) -> None:
    schedule = _existing(call, call.names[0])
    await call.services.schedules.pause(schedule, paused=True)


async def resume_schedule(call: Call) -> None:
    schedule = _existing(call, call.names[0])
    await call.services.schedules.pause(schedule, paused=False)


async def _post_pause(call: Call) -> None:
    # The documentation says POST where every SDK sends PATCH.
    schedule_id, _, verb = call.raw.split("?")[0].rpartition("/")
    schedule = _existing(call, schedule_id)
    await call.services.schedules.pause(schedule, paused=verb == "pause")


def _existing(call: Call, schedule_id: str) -> Schedule:
    schedule = call.services.schedules.schedules.get(schedule_id)
    if schedule is None:
        raise not_found("schedule", schedule_id)
    return schedule


async def _view(call: Call, schedule: Schedule) -> dict[str, Any]:
    states = await call.services.store.run(lambda db: _last_states(db, schedule))
    return schedule_view(schedule, call.services.schedules.next_time(schedule), states)


def _last_states(db: sqlite3.Connection, schedule: Schedule) -> dict[str, str]:
    if schedule.last_time is None:
        return {}
    rows = db.execute(_LAST_FIRING, (schedule.id, schedule.last_time))
    return {row["id"]: _STATES.get(row["state"], "IN_PROGRESS") for row in rows}


ROUTES: list[Route] = [
    ("POST", "schedules/**", create_schedule),
    ("GET", "schedules", list_schedules),
    ("GET", "schedules/*", get_schedule),
    ("DELETE", "schedules/*", delete_schedule),
    ("PATCH", "schedules/*/pause", pause_schedule),
    ("PATCH", "schedules/*/resume", resume_schedule),
]
