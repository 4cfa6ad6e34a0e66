"""`flask email suppressions …`: list the addresses that bounced or complained, and release them."""

import click
from flask import json

from app.families.email import bp, suppressions
from app.jobs.cli.kit import JobsGroup, Refused, acting_as, as_json, limit, table

group = JobsGroup(
    "suppressions", help="List and release the addresses that receive only critical email."
)
bp.cli.add_command(group)


@group.command("list")
@limit
@as_json
def list_suppressions(limit: int, *, as_json: bool) -> None:
    """List suppressed addresses, newest first."""
    rows = suppressions.newest(limit=limit)
    if as_json:
        members = ("address", "reason", "details")
        click.echo(json.dumps([{name: getattr(row, name) for name in members} for row in rows]))
    elif rows:
        lines = [(row.address, row.reason, f"{row.created_at:%Y-%m-%d %H:%M}") for row in rows]
        click.echo(table([("ADDRESS", "REASON", "SINCE"), *lines]))
    else:
        click.echo("No suppressed addresses.")


@group.command("remove")
@click.argument("address")
@acting_as
def remove_suppression(address: str, by: str) -> None:
    r"""Let an address receive all emails again.

    \b
    Example:
      flask email suppressions remove ann@example.com
    """
    if not suppressions.remove(address, by=by):
        raise Refused(
            f"{address} is not suppressed; `flask email suppressions list` shows those that are"
        )
    click.echo(f"{address} receives all emails again.")
