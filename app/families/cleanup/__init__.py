"""Cleanup: deletes data that is past its retention."""

from app.jobs import JobBlueprint

bp = JobBlueprint("cleanup", __name__)
