"""`flask jobs types`: the registered job types."""

import click
from flask import current_app

from ..registry import registry_of
from . import formatting
from .group import as_json, jobs, print_json


@jobs.command("types")
@as_json
def list_types(as_json: bool) -> None:
    """List the registered job types and their settings."""
    configs = list(registry_of(current_app))
    if as_json:
        print_json([formatting.type_as_json(config) for config in configs])
    else:
        click.echo(formatting.types_table(configs))
