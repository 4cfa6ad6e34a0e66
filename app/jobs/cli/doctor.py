"""`flask jobs doctor`: what is wrong, and how to fix it."""

import sys
from collections import Counter
from collections.abc import Sequence

import click
from flask import current_app

from ..doctor.checks import Check, Level, checks_of
from ..doctor.examination import Result, examine
from ..values.nearest import hint
from .group import Refused, as_json, jobs, print_json

COLOURS = {Level.PASS: "green", Level.WARN: "yellow", Level.FAIL: "red", Level.SKIP: "blue"}
WARNED, FAILED = 1, 2


@jobs.command("doctor")
@click.option("--production", is_flag=True, help="Also run the checks for a production deployment.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check (repeatable).")
@as_json
def examine_app(*, production: bool, only: tuple[str, ...], as_json: bool) -> None:
    r"""Check settings, database and QStash, and say how to fix problems.

    Run it where the app runs: it calls the database, QStash and other services with the app's
    settings, and sends itself a message through QStash. It changes nothing. Exit code 0 if all is
    well, 1 with warnings, 2 with failures.

    \b
    Examples:
      flask jobs doctor
      flask jobs doctor --production
      flask jobs doctor --only probe --only signing-keys
    """
    results = []
    for result in examine(_chosen(only, production=production)):
        results.append(result)
        if not as_json:
            click.echo(_text(result))
    if as_json:
        print_json([_as_json(result) for result in results])
    else:
        click.echo(f"\n{_summary(results)}")
    sys.exit(_exit_code(results))


def _chosen(only: Sequence[str], *, production: bool) -> list[Check]:
    known = {check.name: check for check in checks_of(current_app, production=True)}
    for name in only:
        if name not in known:
            raise Refused(f"unknown check {name!r}; {hint(name, known)}")
    if only:
        return [known[name] for name in dict.fromkeys(only)]
    return checks_of(current_app, production=production)


def _text(result: Result) -> str:
    finding = result.finding
    level = click.style(f"{finding.level:<4}", fg=COLOURS[finding.level])
    line = f"{level}  {result.check.name:<20}  {finding.said}"
    return f"{line}\n{'':<28}fix: {finding.fix}" if finding.fix else line


def _as_json(result: Result) -> dict[str, str]:
    finding = result.finding
    return {
        "check": result.check.name,
        "level": finding.level,
        "said": finding.said,
        "fix": finding.fix,
    }


def _summary(results: Sequence[Result]) -> str:
    counts = Counter(result.finding.level for result in results)
    return ", ".join(f"{counts[level]} {level}" for level in Level if counts[level])


def _exit_code(results: Sequence[Result]) -> int:
    levels = {result.finding.level for result in results}
    if Level.FAIL in levels:
        return FAILED
    return WARNED if Level.WARN in levels else 0
