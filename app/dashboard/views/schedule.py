"""A schedule that is not from the code: made by a form, or changed by the same one."""

from collections.abc import Mapping
from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption, InvalidPayload, PublishRefused, PublishUnavailable
from ...jobs.kit import parse_owner_id
from ...jobs.operate import cron, schedule_actions, schedule_runs, schedules
from .. import access, cookies, payload_form
from ..access import Role
from ..payload_form import by_field, config_of
from ..rendering import link, page
from ..screens import Screen

screen = Screen("schedule", "", of_whole_app=True)

_ZONE = "CRON_TZ="


@screen.page("/schedules/edit", needs=Role.ADMIN)
def index() -> ResponseReturnValue:
    """Show the form: empty for a type, or with what a schedule is."""
    if schedule_id := request.args.get("id", ""):
        return _form(*_given(schedule_id))
    name = request.args.get("type", "")
    if not name:
        return page("schedule.html", config=None, types=payload_form.offered())
    config = config_of(name)
    return _form(config, {"tags": " ".join(config.tags)})


@screen.action("/schedules/save", needs=Role.ADMIN)
def save() -> ResponseReturnValue:
    """Make the schedule, or change the one that has the id; what is wrong is said in the form."""
    config = config_of(request.form.get("type", ""))
    before = request.form.get("before", "")
    payload, problems = payload_form.read(config, request.form)
    if problems:
        return _form(config, request.form, problems)
    try:
        was_paused = _changeable(before).paused if before else _must_be_free()
        when = request.form.get("cron", "").strip()
        made = schedule_actions.create(
            config.type,
            when,
            payload,
            by=access.user().name,
            is_change=bool(before),
            is_paused=was_paused,
            **_options(config),
        )
    except InvalidPayload as error:
        return _form(config, request.form, by_field(error.errors))
    except (InvalidOption, PublishRefused, PublishUnavailable) as error:
        return _form(config, request.form, trouble=str(error))
    cookies.notice(f"Schedule {made} is {'changed' if before else 'made'}.")
    return redirect(link("schedules"))


def _options(config: Any) -> dict[str, Any]:
    """Return the options of the form; raises `InvalidOption`."""
    options: dict[str, Any] = {}
    for name in ("user", "organization"):
        if text := request.form.get(name, "").strip():
            try:
                options[f"{name}_id"] = parse_owner_id(text)
            except ValueError as error:
                raise InvalidOption(f"{name}: {text[:80]!r} is not {error}") from None
    for name in ("timezone", "delay", "overlap", "jitter", "catch_up", "expires"):
        if text := request.form.get(name, "").strip():
            options[name] = text
    tags = request.form.get("tags", " ".join(config.tags)).split()
    if tags != list(config.tags):  # else those that the type will declare by then
        options["tags"] = tags
    schedule_id = request.form.get("before", "") or request.form.get("name", "").strip()
    return options | ({"schedule_id": schedule_id} if schedule_id else {})


def _must_be_free() -> bool:
    """Refuse a name that a schedule has, which would be replaced; return that it is not paused."""
    name = request.form.get("name", "").strip()
    if name.startswith(schedules.PREFIX):
        raise InvalidOption(f"name: {schedules.PREFIX} begins those of the code; use another")
    if name and any(one.schedule_id == name for one in schedules.installed()):
        raise InvalidOption(
            f"name: there is a schedule {name!r} already; edit that, or use another"
        )
    return False


def _changeable(schedule_id: str) -> Any:
    """Return a schedule that the form can hold; raises `InvalidOption`."""
    found = schedule_actions.find_schedule(schedule_id)
    if schedules.is_ours(found):
        raise InvalidOption(f"{schedule_id} is from the code: change it there, and sync")
    config, _ = schedule_actions.read(found)
    own = {
        "queue": found.queue and not config.queue,
        "flow-control key": found.flow_control and not config.flow_control,
        "callback": found.callback and not config.is_external,
        "label": found.label,
    }
    if lost := [name for name, is_lost in own.items() if is_lost]:
        raise InvalidOption(
            f"{schedule_id} has a {lost[0]}, which this form would drop: change it by"
            " `flask jobs schedules create --id`"
        )
    return found


def _given(schedule_id: str) -> tuple[Any, dict[str, str]]:
    """Return a schedule's type, and what the form has in it for the schedule."""
    try:
        found = _changeable(schedule_id)
        config, envelope = schedule_actions.read(found)
    except (InvalidOption, PublishRefused, PublishUnavailable) as error:
        abort(400, str(error))
    zone, expression = "", found.cron
    if expression.startswith(_ZONE):
        zone, _, expression = expression.removeprefix(_ZONE).partition(" ")
    texts = payload_form.texts_of(envelope.payload)
    given = {payload_form.PREFIX + name: text for name, text in texts.items()}
    owners = {"user": envelope.metadata.user_id, "organization": envelope.metadata.organization_id}
    given |= {name: str(value) for name, value in owners.items() if value is not None}
    tags = config.tags if envelope.metadata.tags is None else envelope.metadata.tags
    given |= {"tags": " ".join(tags)}
    given |= {"before": found.schedule_id, "cron": expression, "timezone": zone}
    rules = schedule_runs.rules_of(found)
    given |= {"overlap": rules.overlap, "catch_up": rules.catch_up}
    times = {"delay": found.delay, "jitter": rules.jitter, "expires": rules.expires}
    return config, given | {name: f"{seconds}s" for name, seconds in times.items() if seconds}


def _form(
    config: Any,
    given: Mapping[str, str],
    problems: Mapping[str, list[str]] | None = None,
    trouble: str | None = None,
) -> ResponseReturnValue:
    shown = payload_form.shown(config, given, problems or {}, trouble)
    return page(
        "schedule.html",
        400 if problems or trouble else 200,
        config=config,
        given=given,
        runs=_runs(given),
        **shown,
    )


def _runs(given: Mapping[str, str]) -> list[Any]:
    """Return the next runs of what is in the form, where it is an expression."""
    zone = given.get("timezone", "").strip()
    written = f"{_ZONE}{zone} {given.get('cron', '')}" if zone else given.get("cron", "")
    try:
        return cron.next_runs(cron.checked(written, None), 3) if written.strip() else []
    except InvalidOption:
        return []
