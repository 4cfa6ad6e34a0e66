"""`POST /api/webhooks/<source>`: verify > store and enqueue > answer. The rest is a job's."""

from http import HTTPStatus

from flask import abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from app.extensions import limiter
from app.families.webhooks import inbox, incoming, public, sources
from app.families.webhooks.sources import SOURCES
from app.jobs import events


def rate() -> str:
    """Return how often one address may send to one source."""
    return str(current_app.config["WEBHOOK_RATE_LIMIT"])


def client_and_source() -> str:
    """Name whom a request counts for; all sources that there are not are one."""
    source = (request.view_args or {}).get("source")
    return f"{get_remote_address()} {source if source in SOURCES else '?'}"


@public.post("/webhooks/<source>")
@limiter.shared_limit(rate, scope="webhooks", key_func=client_and_source)
def receive(source: str) -> ResponseReturnValue:
    """Take a webhook: it is answered when it is stored and its job recorded, not when that ran.

    A repeat is answered as the first was, and does nothing.
    """
    if source not in SOURCES:
        abort(HTTPStatus.NOT_FOUND, f"There is no webhook source {source!r}.")
    inbox.accept(incoming.read(SOURCES[source]))
    return {"received": True}


public.record(lambda state: sources.check(state.app.config))
public.record(lambda state: events.add_signers(state.app, SOURCES))
