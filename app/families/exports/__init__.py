"""Exports: one job that writes what an organization may see to a file, in five formats."""

from app.jobs import JobBlueprint

bp = JobBlueprint("exports", __name__)
bp.cli.help = "Show what can be exported."
