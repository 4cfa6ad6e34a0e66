"""The pages of schedules, queues, flow-control keys, URL groups, and the setup."""

from functools import lru_cache
from typing import Any

from ..api import flow_control, queues, schedules, url_groups
from ..engine.schedules import Schedule
from ..protocol.cron import next_fire
from .paging import number_pages
from .visit import Shown, Visit
from .words import cron_in_words

_RUNS = 5


async def list_schedules(visit: Visit) -> Shown:
    """Show schedules, their cron expressions in words, and their next firings."""
    every = sorted(
        visit.services.schedules.schedules.values(), key=lambda one: one.created_at, reverse=True
    )
    page = number_pages(visit, every)
    shown = [await _schedule(visit, schedule) for schedule in page.items]
    return Shown("schedules.html", {"page": page, "schedules": shown})


async def list_queues(visit: Visit) -> Shown:
    page = number_pages(visit, await queues.list_queues(visit.press()))
    lanes = visit.services.engine.gates.queues
    working = {name: len(lanes[name].places) for name in lanes}
    # A failing callback keeps its original's place, and nothing else shows why the queue is stuck.
    held = {
        one.held_queue: one.id
        for one in visit.services.engine.messages.values()
        if one.held_queue and one.retried
    }
    return Shown("queues.html", {"page": page, "working": working, "held": held})


async def list_flow_keys(visit: Visit) -> Shown:
    page = number_pages(visit, await flow_control.list_keys(visit.press()))
    return Shown("flow_control.html", {"page": page})


async def list_groups(visit: Visit) -> Shown:
    page = number_pages(visit, await url_groups.list_groups(visit.press()))
    return Shown("url_groups.html", {"page": page})


async def show_setup(visit: Visit) -> Shown:
    """Show the settings that a client needs, as an env file."""
    settings, keys = visit.services.settings, visit.services.keys
    env = {
        "QSTASH_URL": f"http://{visit.host}",
        "QSTASH_TOKEN": settings.credentials.token,
        "QSTASH_CURRENT_SIGNING_KEY": keys.current,
        "QSTASH_NEXT_SIGNING_KEY": keys.next,
    }
    return Shown("setup.html", {"env": env, "settings": settings})


async def _schedule(visit: Visit, schedule: Schedule) -> dict[str, Any]:
    shown: dict[str, Any] = await schedules.get_schedule(visit.press(schedule.id))
    clock = visit.services.clock
    runs = [clock.real(run) for run in _next_runs(schedule.cron, schedule.next_simulated)]
    states = list(shown.get("lastScheduleStates", {}).items())
    return {
        "id": schedule.id,
        "destination": schedule.destination,
        "method": shown["method"],
        "cron": schedule.cron,
        "in_words": cron_in_words(schedule.cron),
        "queue": schedule.queue,
        "paused": schedule.paused,
        "error": schedule.error,
        "last_time": schedule.last_time,
        "last_states": states,
        "runs": runs,
    }


@lru_cache(maxsize=1024)
def _next_runs(cron: str, first: int | None) -> tuple[int, ...]:
    runs: list[int] = []
    following = first
    while following is not None and len(runs) < _RUNS:  # a date may not come again
        runs.append(following)
        following = next_fire(cron, following)
    return tuple(runs)
