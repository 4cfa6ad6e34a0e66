"""`flask jobs db`."""

import click

from .. import migrations
from ..table.db import db as database
from ..table.db import in_transaction
from .group import CommandGroup, as_json, jobs, print_json


@jobs.group("db", cls=CommandGroup)
def db() -> None:
    """Make and change the tables of jobs, unless the app's own migrations do."""


@db.command()
def upgrade() -> None:
    """Bring the tables to the newest revision."""
    # Not `in_transaction`, which may do its work twice.
    with database.engine.begin() as connection:
        migrations.upgrade(connection)
    click.echo(f"The tables of jobs are at {migrations.HEAD}.")


@db.command()
@as_json
def current(*, as_json: bool) -> None:
    """Say which revision the tables are at."""
    found = in_transaction(migrations.current)
    if as_json:
        print_json({"current": found, "head": migrations.HEAD})
    elif found is None:
        click.echo("the tables of jobs are not there: run `flask jobs db upgrade`")
    else:
        is_newest = found == migrations.HEAD
        click.echo(f"{found}, {'the newest' if is_newest else f'the newest is {migrations.HEAD}'}")


@db.command()
def sql() -> None:
    """Print the SQL that makes the tables in a database that has none of them."""
    click.echo(migrations.sql())
