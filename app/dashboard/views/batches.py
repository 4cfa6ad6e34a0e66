"""Batches and workflows: how far each is, its steps drawn, and what can be done about it."""

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import BatchRefused
from ...jobs.operate import batches
from .. import access, cookies, formatting
from ..access import Role
from ..graph import Node, draw
from ..rendering import link, page
from ..screens import Screen

screen = Screen("batches", "Batches", of_whole_app=True)

#: How many are listed, the newest.
SHOWN = 100


@screen.page("/batches")
def index() -> ResponseReturnValue:
    state = request.args.get("state")
    state = state if state in batches.STATES else None
    return page(
        "batches.html",
        found=batches.newest(state=state, limit=SHOWN),
        state=state,
        states=batches.STATES,
        shown=SHOWN,
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
    cookies.notice(f"Retried {formatting.plural(done.count, 'job')}{waits}.")
    return redirect(link("batches_one", batch_id=found.id))


def _find(batch_id: str) -> batches.Summary:
    try:
        return batches.find(batch_id)
    except BatchRefused:
        abort(404, "There is no such batch; it may have been deleted with its last job.")


def _job(job_id: str | None) -> str | None:
    return None if job_id is None else link("job", job_id=job_id)
