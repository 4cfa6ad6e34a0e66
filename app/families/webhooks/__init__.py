"""Webhooks: from a sender's request to a recorded effect."""

from flask import Blueprint

from app.jobs import JobBlueprint

bp = JobBlueprint("webhooks", __name__)
#: What senders call, and `flask webhooks …`.
public = Blueprint("inbox", __name__, url_prefix="/api", cli_group="webhooks")
