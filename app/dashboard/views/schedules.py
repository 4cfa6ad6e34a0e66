"""The schedules at QStash: when they run, what they last made, whether the code wants them so."""

from collections.abc import Callable
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption, InvalidPayload, JobsError
from ...jobs.operate import cron, firings, schedule_actions, schedule_runs, schedules
from .. import access, cookies, states
from ..access import Role
from ..rendering import link, page
from ..screens import Screen

screen = Screen("schedules", "Schedules", of_whole_app=True)

#: How many runs of each are shown: those to come, and those that were.
NEXT, LAST = 5, 12


@screen.page("/schedules")
def index() -> ResponseReturnValue:
    try:
        found = schedules.installed()
        drift = list(map(str, schedules.plan()))
    except InvalidPayload as error:
        return page("schedules.html", 400, rows=[], drift=[], trouble=str(error))
    except JobsError as error:
        return page("schedules.html", 503, rows=[], drift=[], trouble=str(error))
    silent = {one.schedule_id: one for one in firings.stopped()}
    rows = [_row(schedule) | {"silent": silent.get(schedule.schedule_id)} for schedule in found]
    return page(
        "schedules.html",
        rows=rows,
        drift=drift,
        trouble=None,
        state_of=states.state_of,
        run_by=schedule_actions.run_by,
    )


@screen.action("/schedules/run", needs=Role.OPERATOR)
def run() -> ResponseReturnValue:
    made: list[str | None] = []
    return _do(
        lambda schedule, by: made.append(schedule_actions.run_now(schedule, by=by)),
        lambda: f"made job {made[0]}" if made[0] else "has swept",
    )


@screen.action("/schedules/pause", needs=Role.OPERATOR)
def pause() -> ResponseReturnValue:
    return _do(schedule_actions.pause, lambda: "is paused")


@screen.action("/schedules/resume", needs=Role.OPERATOR)
def resume() -> ResponseReturnValue:
    return _do(schedule_actions.resume, lambda: "runs again")


@screen.action("/schedules/delete", needs=Role.ADMIN)
def delete() -> ResponseReturnValue:
    return _do(schedule_actions.delete, lambda: "is deleted")


@screen.action("/schedules/sync", needs=Role.ADMIN)
def sync() -> ResponseReturnValue:
    """Make QStash match the code."""
    changes = schedules.plan()
    schedule_actions.sync(changes, by=access.user().name)
    cookies.notice(f"QStash matches the code: {len(changes)} changed.")
    return redirect(link("schedules"))


def _row(schedule: Any) -> dict[str, Any]:
    last = schedule_runs.last_runs(schedule.schedule_id, LAST)
    return {
        "id": schedule.schedule_id,
        "cron": schedule.cron,
        "words": cron.explain(schedule.cron),
        "tags": schedule_actions.tags_of(schedule),
        "paused": schedule.paused,
        "from_code": schedules.is_ours(schedule),
        "next": [] if schedule.paused else schedule_runs.next_runs(schedule, NEXT),
        "rules": schedule_runs.rules_of(schedule),
        "last": list(reversed(last)),
        "newest": last[0] if last else None,
    }


def _do(act: Callable[..., None], said: Callable[[], str]) -> ResponseReturnValue:
    """Act on the schedule that a form names."""
    try:
        schedule = schedule_actions.find_schedule(request.form.get("id", ""))
        act(schedule, by=access.user().name)
        cookies.notice(f"Schedule {schedule.schedule_id} {said()}.")
    except (InvalidOption, InvalidPayload) as error:
        cookies.notice(f"Nothing was changed: {error}", kind="problem")
    return redirect(link("schedules"))
