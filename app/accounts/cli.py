"""`flask accounts …`."""

import sys
import time
from datetime import UTC, datetime

import click
from flask import current_app, json

from app.accounts.seeding import AlreadySeeded, plant
from app.jobs.cli.kit import JobsGroup, Refused

accounts = JobsGroup("accounts", help="Generate sample people and organizations.")


@accounts.command("seed")
@click.option(
    "--users",
    type=click.IntRange(1, 10_000_000),
    default=1000,
    show_default=True,
    help="Number of people.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="Seed of the random data.",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The last day.  [default: today]",
)
@click.option("--replace", is_flag=True, help="Delete this seed's earlier data first.")
@click.option("--yes-in-production", is_flag=True, help="Required if APP_ENV is production.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def seed_accounts(
    *,
    users: int,
    seed: int,
    until: datetime | None,
    replace: bool,
    yes_in_production: bool,
    as_json: bool,
) -> None:
    r"""Generate people, organizations, subscriptions and two years of activity.

    The same seed gives the same data (up to the same day). A second run with that seed fails unless
    you pass --replace; a run with another seed adds data.

    \b
    Examples:
      flask accounts seed --users 100000
      flask accounts seed --users 500 --seed 2
      flask accounts seed --users 100000 --replace
    """
    if current_app.config["APP_ENV"] == "production" and not yes_in_production:
        raise Refused(
            "this is production, and the data is made up: pass --yes-in-production to confirm"
        )
    began = time.monotonic()
    day = (until or datetime.now(UTC)).date()
    bar = click.progressbar(length=users, label="Seeding users", file=sys.stderr)
    try:
        with bar:
            counts = plant(seed, users=users, until=day, replace=replace, progress=bar.update)
    except AlreadySeeded as error:
        raise Refused(
            f"seed {seed} has data already: pass --replace, or another --seed to add to it"
        ) from error
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        _say(counts, time.monotonic() - began)


def _say(counts: dict[str, int], seconds: float) -> None:
    for table, count in counts.items():
        click.echo(f"{table:<14} {count:>9,}")
    click.echo(f"in {seconds:.1f} s")
