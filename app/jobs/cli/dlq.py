"""`flask jobs dlq`: the messages that QStash has given up on."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from ..operate import dlq
from ..operate.dlq import DeadLetter
from . import formatting
from .group import (
    FAILED,
    CommandGroup,
    Refused,
    acting_as,
    as_json,
    confirm,
    jobs,
    limit,
    print_json,
    yes,
)
from .params import JobType

group = CommandGroup("dlq", help="List, retry and delete messages in QStash's dead-letter queue.")
jobs.add_command(group)

_type = click.option(
    "--type", "job_type", type=JobType(recorded=True), help="Only messages of this job type."
)


@group.command("list")
@_type
@limit
@as_json
def list_letters(job_type: str | None, limit: int, as_json: bool) -> None:
    r"""List this app's dead letters, oldest first.

    QStash keeps them for a few days. The jobs themselves stay in the table as dead: `flask jobs
    list --dead` shows them, and `flask jobs retry` retries them without their dead letters.

    \b
    Examples:
      flask jobs dlq list
      flask jobs dlq list --type send-email --json
    """
    found = dlq.letters(job_type=job_type, limit=limit + 1)
    if as_json:
        print_json([_as_json(letter) for letter in found[:limit]])
        return
    click.echo(_table(found[:limit]) if found else "No dead letters.")
    if len(found) > limit:
        click.echo(f"\nThere are more than {limit}: raise --limit to see them.", err=True)


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("dlq_ids", metavar="[ID]...", nargs=-1),
        _type,
        click.option("--all", "everything", is_flag=True, help="All of this app's dead letters."),
        acting_as,
        yes,
        as_json,
    )
    for option in reversed(options):
        command = option(command)
    return command


@group.command("retry")
@_changing
def retry_letters(dlq_ids: tuple[str, ...], **options: Any) -> None:
    r"""Have QStash deliver dead letters again, with all their retries.

    \b
    Examples:
      flask jobs dlq retry 1725323658779-0
      flask jobs dlq retry --type send-email
    """
    _act("retry", dlq.retry, dlq_ids, **options)


@group.command("delete")
@_changing
def delete_letters(dlq_ids: tuple[str, ...], **options: Any) -> None:
    r"""Delete dead letters from QStash; the jobs stay in the table.

    \b
    Examples:
      flask jobs dlq delete 1725323658779-0
      flask jobs dlq delete --all
    """
    _act("delete", dlq.delete, dlq_ids, **options)


def _act(
    action: str,
    act: Callable[..., int],
    dlq_ids: Sequence[str],
    *,
    job_type: str | None,
    everything: bool,
    by: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Preview, ask, act and report; exit code 1 if a letter that was named does not exist."""
    named = len(dlq_ids)
    if not named and job_type is None and not everything:
        raise Refused("no dead letters selected: give ids, --type or --all")
    if not named:
        dlq_ids = [letter.dlq_id for letter in dlq.letters(job_type=job_type)]
    if dlq_ids and not yes and (not named or action == "delete"):
        confirm(f"{action.capitalize()} {_count(len(dlq_ids))}?")
    count = act(dlq_ids, by=by)
    if as_json:
        print_json({"action": action, "count": count})
    else:
        click.echo(f"{'Retried' if action == 'retry' else 'Deleted'} {_count(count)}")
    if count < named:
        click.echo(f"{named - count} of the given dead letters do not exist", err=True)
        sys.exit(FAILED)


def _table(letters: Sequence[DeadLetter]) -> str:
    head = ("ID", "TYPE", "AGE", "JOB")
    lines = [
        (
            letter.dlq_id,
            letter.job_type or "-",
            formatting.age(letter.created_at),
            letter.job_id or "-",
        )
        for letter in letters
    ]
    return formatting.described(
        [head, *lines], ["ERROR", *(one.error for one in letters)], shrink=(1,)
    )


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return {**asdict(letter), "created_at": letter.created_at.isoformat()}


def _count(letters: int) -> str:
    return "1 dead letter" if letters == 1 else f"{letters:,} dead letters"
