"""Exports: one job that writes what an organization may see to a file, in five formats."""

from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

bp = JobBlueprint("exports", __name__)
bp.cli = JobsGroup(help="List what can be exported.")
