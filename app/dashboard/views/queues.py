"""Job types, queues, flow-control keys and organizations: how busy each is, and what is paused."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import current_app, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import InvalidOption, UnknownJobType
from ...jobs.kit import registry_of
from ...jobs.operate import CAP, Load, loads, pauses
from .. import access, cookies, formatting
from ..access import Role
from ..cached import Figure, figure
from ..rendering import link, page
from ..screens import Screen

screen = Screen("queues", "Queues", of_whole_app=True)

#: Seconds for which the counts are the same for everybody.
FRESH = 2.0
#: How many of each kind are shown, the busiest.
SHOWN = 100

KINDS = {
    pauses.Kind.TYPE: "Job types",
    pauses.Kind.QUEUE: "Queues",
    pauses.Kind.KEY: "Flow-control keys",
    pauses.Kind.ORGANIZATION: "Organizations",
}
#: The filter of the jobs' list that finds those of one.
_LISTED = {pauses.Kind.TYPE: "type", pauses.Kind.ORGANIZATION: "organization"}


@dataclass(frozen=True, slots=True)
class Row:
    """One type, queue, key or organization.

    Attributes:
        held: Its pause; None where it is not paused.
        href: The list of its jobs, where there is one.
    """

    load: Load
    held: pauses.Held | None
    href: str | None


@screen.page("/queues")
def index() -> ResponseReturnValue:
    found = pauses.paused()
    busy = figure(Figure("loads", list[Load], FRESH, lambda: list(loads())))
    rows = list(_rows(busy.value or [], found))
    return page(
        "queues.html",
        busy=busy,
        kinds={
            title: [row for row in rows if row.load.kind == kind][:SHOWN]
            for kind, title in KINDS.items()
        },
        held=found,
        names=KINDS,
        cap=CAP,
        shown=SHOWN,
        longest=pauses.MOST_REASON,
    )


@screen.action("/queues/pause", needs=Role.OPERATOR)
def pause() -> ResponseReturnValue:
    kind, name = _named()
    try:
        done = pauses.pause(
            kind, name, reason=request.form.get("reason", ""), by=access.user().name
        )
    except (InvalidOption, UnknownJobType) as error:
        cookies.notice(f"Nothing was changed: {error}", kind="problem")
        return redirect(link("queues"))
    waiting = formatting.plural(done.waiting, "job")
    cookies.notice(f"Paused {kind} {done.pause.name}; waiting by now: {waiting}.")
    return redirect(link("queues"))


@screen.action("/queues/resume", needs=Role.OPERATOR)
def resume() -> ResponseReturnValue:
    kind, name = _named()
    try:
        done = pauses.resume(kind, name, by=access.user().name)
    except InvalidOption as error:
        cookies.notice(f"Nothing was changed: {error}", kind="problem")
        return redirect(link("queues"))
    left = f"; the next sweeps publish {formatting.count(done.left)} more" if done.left else ""
    published = formatting.plural(done.published, "job")
    cookies.notice(f"Resumed {kind} {name}; published {published}{left}.")
    return redirect(link("queues"))


def _named() -> tuple[str, str]:
    """Return what a form is about."""
    return request.form.get("kind", ""), request.form.get("name", "").strip()


def _rows(busy: list[Load], found: list[pauses.Held]) -> Iterator[Row]:
    """Yield what is paused, then what is busy, then what the code has and nothing happens to."""
    held = {(one.pause.kind, one.pause.name): one for one in found}
    known = {(one.kind, one.name): one for one in busy}
    names = dict.fromkeys([*held, *known, *_declared()])
    for kind, name in names:
        listed = {_LISTED[kind]: name} if kind in _LISTED else None
        yield Row(
            load=known.get((kind, name)) or Load(kind=kind, name=name),
            held=held.get((kind, name)),
            href=link("jobs", **listed) if listed else None,
        )


def _declared() -> Iterator[tuple[pauses.Kind, str]]:
    """Yield what the job types name."""
    for config in registry_of(current_app):
        yield pauses.Kind.TYPE, config.type
        if config.queue:
            yield pauses.Kind.QUEUE, config.queue
        if config.flow_control:
            yield pauses.Kind.KEY, config.flow_control.key
