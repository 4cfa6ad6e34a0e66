"""`POST /api/webhooks/<source>`: verify > store and enqueue > answer. A job does the rest."""

from http import HTTPStatus

from flask import abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from app.extensions import limiter
from app.families.webhooks import inbox, incoming, public, sources
from app.families.webhooks.sources import SOURCES
from app.jobs import events


def rate() -> str:
    """Return the rate limit of one address for one source."""
    return str(current_app.config["WEBHOOK_RATE_LIMIT"])


def client_and_source() -> str:
    """Return what a request is counted under; all unknown sources share one name."""
    source = (request.view_args or {}).get("source")
    return f"{get_remote_address()} {source if source in SOURCES else '?'}"


@public.post("/webhooks/<source>")
@limiter.shared_limit(rate, scope="webhooks", key_func=client_and_source)
def receive(source: str) -> ResponseReturnValue:
    """Receive a webhook: answer once it is stored and its job recorded, not when the job has run.

    A repeat gets the same answer and does nothing.
    """
    if source not in SOURCES:
        abort(HTTPStatus.NOT_FOUND, f"There is no webhook source {source!r}.")
    inbox.accept(incoming.read(SOURCES[source]))
    return {"received": True}


public.record(lambda state: sources.check(state.app.config))
public.record(lambda state: events.add_signers(state.app, SOURCES))
