"""`flask jobs usage`: what the jobs cost at QStash, beside what the plan has."""

from collections.abc import Iterable, Iterator
from typing import Any

import click

from .. import durations
from ..operate import usage
from ..operate.usage import MONTH, Spent, Usage
from . import formatting
from .group import as_json, jobs, print_json
from .params import Duration

HEAD = ("JOBS", "MESSAGES", "RETRIES", "CALLBACKS", "LEGS", "TOTAL")
#: How many lines a table has; JSON has all.
SHOWN = 50


@jobs.command("usage")
@click.option(
    "--since", type=Duration(), default="30d", show_default=True, help="How far back to count."
)
@click.option(
    "--by",
    type=click.Choice(("type", "organization")),
    default="type",
    show_default=True,
    help="What each line is for; JSON has both.",
)
@as_json
def show_usage(since: int, by: str, as_json: bool) -> None:
    r"""Count the QStash messages that jobs took, beside what the plan allows.

    QStash counts each attempt to deliver as a message: MESSAGES that it accepted, RETRIES of these,
    and CALLBACKS. LEGS of jobs that continue are among the messages. It counts jobs by the time of
    their recording, from their rows, so jobs that were deleted count no more. Set
    JOBS_PLAN_MESSAGES_PER_DAY and JOBS_PLAN_PRICE to what your plan says.

    \b
    Examples:
      flask jobs usage --since 7d
      flask jobs usage --by organization
      flask jobs usage --json | jq .projectedMonth
    """
    found = usage.usage(since=since)
    if as_json:
        print_json(usage.as_json(found))
        return
    lines = _by_type(found) if by == "type" else _by_organization(found)
    click.echo(_table([(by.upper(), *HEAD), *lines, _line("total", found.total)]))
    click.echo("\n" + "\n".join(_summary(found)))


def _by_type(found: Usage) -> list[tuple[str, ...]]:
    lines = [_line(name, spent) for name, spent in _first(found.types.items())]
    others = {"(sweeps)": found.sweeps, "(probes)": found.probes}
    return lines + [_line(name, Spent(messages=count)) for name, count in others.items() if count]


def _by_organization(found: Usage) -> list[tuple[str, ...]]:
    known = found.organizations.items()
    return [_line("-" if owner is None else str(owner), spent) for owner, spent in _first(known)]


def _first(items: Iterable[tuple[Any, Spent]]) -> list[tuple[Any, Spent]]:
    return list(items)[:SHOWN]


def _line(name: str, spent: Spent) -> tuple[str, ...]:
    counts = (spent.jobs, spent.messages, spent.retries, spent.callbacks, spent.legs, spent.total)
    return (name, *(f"{count:,}" for count in counts))


def _table(lines: list[tuple[str, ...]]) -> str:
    """Align names on the left, numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return formatting.table(
        [
            (name, *(cell.rjust(wide) for cell, wide in zip(cells, widths[1:], strict=True)))
            for name, *cells in lines
        ],
        shrink=(0,),
    )


def _summary(found: Usage) -> Iterator[str]:
    yield (
        f"Last {durations.in_words(found.seconds)}: {found.total.total:,} messages, "
        f"{found.per_day:,.0f} a day; {found.projected:,} in {MONTH} days at this rate"
    )
    limit, today = found.plan.messages_per_day, found.today
    if limit:
        yield (
            f"Today (UTC): {today:,} of the plan's {limit:,} messages, {today / limit:.0%}; "
            f"an average day takes {found.per_day / limit:.0%}"
        )
    else:
        yield f"Today (UTC): {today:,} messages; JOBS_PLAN_MESSAGES_PER_DAY is not set"
    if found.plan.price:
        yield f"At {found.plan.price:g} per 100,000 messages: {usage.price(found):,.2f} a month"
