"""The pages of schedules, queues, flow-control keys, URL groups, and the setup."""

from functools import lru_cache
from typing import Any

from ..api import flow_control, queues, schedules, url_groups
from ..engine.schedules import Schedule
from ..protocol.cron import next_fire
from .formatting import cron_in_words
from .page_request import PageRequest, Shown
from .paging import number_pages

_RUNS = 5


async def list_schedules(request: PageRequest) -> Shown:
    """Show schedules, their cron expressions in words, and their next firings."""
    every = sorted(
        request.services.schedules.schedules.values(), key=lambda one: one.created_at, reverse=True
    )
    page = number_pages(request, every)
    shown = [await _schedule(request, schedule) for schedule in page.items]
    return Shown("schedules.html", {"page": page, "schedules": shown})


async def list_queues(request: PageRequest) -> Shown:
    page = number_pages(request, await queues.list_queues(request.press()))
    limits = request.services.engine.limits.queues
    working = {name: len(limits[name].places) for name in limits}
    # A failing callback keeps its original's place, and nothing else shows why the queue is stuck.
    held = {
        one.held_queue: one.id
        for one in request.services.engine.messages.values()
        if one.held_queue and one.retried
    }
    return Shown("queues.html", {"page": page, "working": working, "held": held})


async def list_flow_keys(request: PageRequest) -> Shown:
    page = number_pages(request, await flow_control.list_keys(request.press()))
    return Shown("flow_control.html", {"page": page})


async def list_groups(request: PageRequest) -> Shown:
    page = number_pages(request, await url_groups.list_groups(request.press()))
    return Shown("url_groups.html", {"page": page})


async def show_setup(request: PageRequest) -> Shown:
    """Show the settings that a client needs, as an env file."""
    settings, keys = request.services.settings, request.services.keys
    env = {
        "QSTASH_URL": f"http://{request.host}",
        "QSTASH_TOKEN": settings.credentials.token,
        "QSTASH_CURRENT_SIGNING_KEY": keys.current,
        "QSTASH_NEXT_SIGNING_KEY": keys.next,
    }
    return Shown("setup.html", {"env": env, "settings": settings})


async def _schedule(request: PageRequest, schedule: Schedule) -> dict[str, Any]:
    shown: dict[str, Any] = await schedules.get_schedule(request.press(schedule.id))
    clock = request.services.clock
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
