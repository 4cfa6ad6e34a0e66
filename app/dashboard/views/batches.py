"""Batches and workflows: how far each is, its steps drawn, and what can be done about it."""

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import BatchRefused, InvalidOption
from ...jobs.operate import batches
from .. import access, cookies, formatting
from ..access import Role
from ..graph import Node, draw
from ..rendering import link, page
from ..screens import Screen

screen = Screen("batches", "Batches")

#: How many are on a page.
SHOWN = 50


@screen.page("/batches")
def index() -> ResponseReturnValue:
    state = request.args.get("state")
    state = state if state in batches.STATES else None
    after = request.args.get("after") or None
    own = access.user().organization_id
    try:
        found = batches.newest(state=state, organization_id=own, after=after, limit=SHOWN + 1)
    except InvalidOption as error:
        abort(400, str(error))
    return page(
        "batches.html",
        found=found[:SHOWN],
        state=state,
        states=batches.STATES,
        newest=after is None,
        after=batches.cursor(found[SHOWN - 1]) if len(found) > SHOWN else None,
    )


@screen.page("/batches/<batch_id>")
def one(batch_id: str) -> ResponseReturnValue:
    found = _find(batch_id)
    steps = batches.steps(found.id)
    nodes = [
        Node(step.name, step.state, step.after, _job(step.job_id))
        for step in steps
        if step.kind in {"job", "wait"}
    ]
    return page("batch.html", batch=found, steps=steps, graph=draw(nodes), job=_job)


@screen.action("/batches/<batch_id>/cancel", needs=Role.OPERATOR)
def cancel(batch_id: str) -> ResponseReturnValue:
    found = _find(batch_id)
    try:
        done = batches.cancel(found.id, by=access.user().name)
    except BatchRefused as error:
        cookies.notice(f"Nothing was changed: {error}", kind="problem")
    else:
        cookies.notice(f"Cancelled {formatting.plural(done.count, 'job')}.")
    return redirect(link("batches_one", batch_id=found.id))


@screen.action("/batches/<batch_id>/retry", needs=Role.OPERATOR)
def retry(batch_id: str) -> ResponseReturnValue:
    found = _find(batch_id)
    done = batches.retry(found.id, by=access.user().name)
    waits = f", and {formatting.plural(done.waits, 'step')} wait again" if done.waits else ""
    refused = f" Not retried: {done.refused[0]}." if done.refused else ""
    kind = "problem" if refused else "done"
    cookies.notice(f"Retried {formatting.plural(done.count, 'job')}{waits}.{refused}", kind=kind)
    return redirect(link("batches_one", batch_id=found.id))


def _find(batch_id: str) -> batches.Summary:
    """Return a batch that the user may see; 404 tells nobody that there is another."""
    own = access.user().organization_id
    try:
        found = batches.find(batch_id)
    except BatchRefused:
        found = None
    if found is None or (own is not None and found.organization_id != own):
        abort(404, "There is no such batch; it may have been deleted with its last job.")
    return found


def _job(job_id: str | None) -> str | None:
    return None if job_id is None else link("job", job_id=job_id)
