"""The webhook inbox: what came in, what became of it, and replay."""

import json
from pathlib import Path

from flask import Flask, abort, redirect, request
from flask.typing import ResponseReturnValue

from app.dashboard import Dashboard, Role
from app.dashboard.kit import (
    Content,
    Link,
    Screen,
    absolute,
    job_states,
    link,
    notice,
    page,
    storable,
    user,
)
from app.families.webhooks import inbox
from app.families.webhooks.inbox import Filter, NotInInbox
from app.jobs import JobExecution, PermanentError
from app.jobs.kit import hidden

screen = Screen("webhooks", "Webhooks", of_whole_app=True)

PAGES = Path(__file__).parent / "pages"
#: Webhooks per page, and characters of a body that are shown.
LIMIT, LONGEST = 50, 64 * 1024


def add_to(dashboard: Dashboard, app: Flask) -> None:  # noqa: ARG001 - as each family has it
    """Add the inbox to the dashboard, and to a job's page the webhook that it processes."""
    dashboard.add_screen(screen)
    dashboard.panel("Webhook")(panel)


@screen.page("/webhooks")
def index() -> ResponseReturnValue:
    given = {name: storable(name, request.args.get(name, "")) for name in ("source", "event")}
    wanted = Filter(given["source"].strip() or None, given["event"].strip() or None)
    rows = inbox.newest(wanted, before=_number(request.args.get("before")), limit=LIMIT + 1)
    return page(
        PAGES / "webhooks.html",
        rows=[row for row, _ in rows[:LIMIT]],
        states=job_states([row.job_id for row, _ in rows[:LIMIT]]),
        times=times,
        given=given,
        before=rows[LIMIT - 1][0].id if len(rows) > LIMIT else None,
    )


@screen.page("/webhooks/<int:webhook_id>")
def show(webhook_id: int) -> ResponseReturnValue:
    try:
        row = inbox.get(webhook_id)
    except NotInInbox:
        abort(404, "No such webhook; it may have been deleted.")
    return page(
        PAGES / "webhook.html",
        row=row,
        states=job_states([row.job_id]),
        times=times,
        body=_body(webhook_id),
    )


@screen.action("/webhooks/replay", needs=Role.OPERATOR)
def replay() -> ResponseReturnValue:
    webhook_id = _number(request.form.get("webhook_id"))
    if webhook_id is None:
        abort(400, "webhook_id: this is no webhook's number.")
    try:
        job_id = inbox.replay(webhook_id, by=user().name)
    except (NotInInbox, PermanentError) as error:
        notice(f"Nothing was replayed: {error}", kind="problem")
        return redirect(link("webhooks"))
    notice(
        f"Webhook {webhook_id} is processed again, by job {job_id}.",
        link("job", job_id=job_id),
    )
    return redirect(link("webhooks_show", webhook_id=webhook_id))


def panel(row: JobExecution) -> Content:
    """Show which webhook a job processes; the inbox is not for those of one organization."""
    found = inbox.of_job(row)
    if found is None:
        return None
    href = link("webhooks_show", webhook_id=found.id)
    is_linked = user().organization_id is None
    facts = {
        "Source": found.source,
        "Event": found.event,
        "Delivery": Link(found.delivery_id, href) if is_linked else found.delivery_id,
        "Verified": "yes" if found.verified else "no",
    }
    if found.repeated_at is None:
        return facts
    last = absolute(found.repeated_at)
    return facts | {"Came again": f"{times(found.repeats)}, last {last}"}


def times(count: int) -> str:
    """Return how often: `once`, `3 times`."""
    return "once" if count == 1 else f"{count:,} times"


def _body(webhook_id: int) -> str | None:
    """Return a body as text, JSON with its secrets masked; None where its key is lost."""
    if not user().may(Role.OPERATOR):
        return ""
    try:
        body = inbox.body_of(inbox.get(webhook_id))
    except PermanentError:
        return None
    try:
        return json.dumps(hidden(json.loads(body)), indent=2, ensure_ascii=False)[:LONGEST]
    except (ValueError, RecursionError):
        return body.decode(errors="replace")[:LONGEST]


def _number(text: str | None) -> int | None:
    """Return an id of a row; None for what can be none."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:  # noqa: PLR2004 - digits of a bigint
        return None
    return int(text)
