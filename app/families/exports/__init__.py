"""Exports: one job that writes what an organization may see to a file, in five formats."""

from flask import Blueprint

from app.jobs import JobBlueprint

bp = JobBlueprint("exports", __name__)
public = Blueprint("export", __name__, cli_group="exports")
public.cli.help = "Look at what can be exported."
