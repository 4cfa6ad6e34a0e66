"""Webhooks: from a sender's request to a recorded effect.

    verify ── store and enqueue, in one transaction ── answer ── …QStash… ── run the handlers

`receive` is the first half, `process_webhook` the second; the `inbox` keeps what was received.

    from app.families import webhooks

    @webhooks.on("github", "pull_request")
    def greet(webhook: Webhook, job: Job) -> None: ...
"""

from flask import Blueprint

from app.families.webhooks.handlers import Webhook, on
from app.families.webhooks.sources import Source, source
from app.families.webhooks.verifiers import Hmac, Standard, Unverified
from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

__all__ = [
    "Hmac",
    "Source",
    "Standard",
    "Unverified",
    "Webhook",
    "bp",
    "on",
    "public",
    "source",
]

bp = JobBlueprint("webhooks", __name__)
bp.cli = JobsGroup(help="Inspect received webhooks, replay them, and send samples.")
#: What senders call.
public = Blueprint("inbox", __name__, url_prefix="/api")
