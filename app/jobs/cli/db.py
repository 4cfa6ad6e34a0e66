"""`flask jobs db`."""

import click

from .. import migrations
from ..table.db import db as database
from ..table.db import in_transaction, upgrade_command
from .group import CommandGroup, Refused, as_json, jobs, print_json

_OURS = "flask jobs db upgrade"


@jobs.group("db", cls=CommandGroup)
def db() -> None:
    """Create and upgrade the job tables, unless the app's migrations do."""


@db.command()
def upgrade() -> None:
    """Upgrade the job tables to the newest revision."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if migrations.current(connection) is None and upgrade_command() != _OURS:
            raise Refused(
                f"this app's own migrations make the job tables: run `{upgrade_command()}`"
            )
        migrations.prepare(connection)
    # Not `in_transaction`, which may do its work twice.
    with database.engine.begin() as connection:
        migrations.upgrade(connection)
    click.echo(f"The job tables are at {migrations.HEAD}.")


@db.command()
@as_json
def current(*, as_json: bool) -> None:
    """Print the revision of the job tables."""
    found = in_transaction(migrations.current)
    if as_json:
        print_json({"current": found, "head": migrations.HEAD})
    elif found is None:
        click.echo(f"There are no job tables: run `{upgrade_command()}`")
    else:
        is_newest = found == migrations.HEAD
        click.echo(f"{found}, {'the newest' if is_newest else f'the newest is {migrations.HEAD}'}")


@db.command()
@click.option(
    "--since",
    metavar="REVISION",
    type=click.Choice(migrations.REVISIONS),
    help="Print what upgrades tables of this revision, instead of what creates them.",
)
def sql(since: str | None) -> None:
    """Print the SQL that creates or upgrades the job tables."""
    click.echo(migrations.sql(since=since))
