"""Alerts when job health changes for the worse, and when it recovers."""

from app.jobs import JobBlueprint

bp = JobBlueprint("alerts", __name__)
