"""Cleanup: what nobody needs any more."""

from app.jobs import JobBlueprint

bp = JobBlueprint("cleanup", __name__)
