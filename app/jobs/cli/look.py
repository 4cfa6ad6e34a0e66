"""`flask jobs types`: what can be enqueued."""

import click
from flask import current_app

from app.jobs import show
from app.jobs.cli.group import as_json, jobs, print_json
from app.jobs.registry import registry_of


@jobs.command("types")
@as_json
def list_types(as_json: bool) -> None:
    """List the job types that were found, and how each is run."""
    configs = list(registry_of(current_app))
    if as_json:
        print_json([show.type_as_json(config) for config in configs])
    else:
        click.echo(show.types_table(configs))
