"""`flask jobs reconcile`: make the table and QStash agree."""

import sys
from typing import Any

import click

from ..operate import reconcile
from ..operate.reconcile import Difference
from ..table import audit
from .group import FAILED, acting_as, as_json, jobs, print_json
from .params import grace


@jobs.command("reconcile")
@click.option(
    "--dry-run", is_flag=True, help="List the differences and repairs, but change nothing."
)
@grace
@acting_as
@as_json
def reconcile_jobs(dry_run: bool, grace: int, by: str, as_json: bool) -> None:
    r"""Compare the table with QStash, and repair differences.

    Use it after an outage or a restored backup; it calls QStash once per waiting job. Exit code 1
    if differences remain.

    \b
    Example:
      flask jobs reconcile --dry-run
    """
    if not dry_run:
        audit.note("reconcile", by=by, wanted={})
    results = []
    for difference in reconcile.differences(grace=grace):
        repaired = not dry_run and difference.apply is not None and difference.apply()
        results.append((difference, repaired))
        if not as_json:
            click.echo(_line(difference, repaired=repaired))
    if as_json:
        print_json([_as_json(difference, repaired=repaired) for difference, repaired in results])
    elif not results:
        click.echo("No differences.")
    sys.exit(0 if all(repaired for _, repaired in results) else FAILED)


def _line(difference: Difference, *, repaired: bool) -> str:
    done = "repaired" if repaired else "not repaired"
    return f"{difference.subject}  {difference.found}  →  {difference.repair} ({done})"


def _as_json(difference: Difference, *, repaired: bool) -> dict[str, Any]:
    names = ("kind", "subject", "found", "repair")
    return {**{name: getattr(difference, name) for name in names}, "mended": repaired}
