"""`flask reports types` and `generate`: reports now, without a job."""

import json
import os
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from marshmallow import ValidationError

from app.families.reports import bp, catalog
from app.families.reports.generate_report import file_name
from app.families.reports.period import Period, problems
from app.families.reports.renderers.formats import FORMATS, get_format
from app.jobs import PermanentError
from app.jobs.cli.kit import Id, as_json
from app.jobs.kit import OwnerId

#: The default period: this many days before today.
DEFAULT_DAYS = 30

_day = click.DateTime(formats=["%Y-%m-%d"])


@bp.cli.command("types")
@as_json
def list_types(*, as_json: bool) -> None:
    """List the report types and the formats."""
    kinds = sorted(catalog.TYPES.values(), key=lambda kind: kind.name)
    if as_json:
        types = [{"reportType": kind.name, "description": kind.description} for kind in kinds]
        click.echo(json.dumps({"reportTypes": types, "formats": list(FORMATS)}, indent=2))
        return
    _print({kind.name: kind.description for kind in kinds})
    click.echo()
    _print({format_.name: format_.description for format_ in FORMATS.values()})


@bp.cli.command("generate")
@click.argument("report_type", metavar="TYPE")
@click.option(
    "--start",
    type=_day,
    metavar="DATE",
    help="First day, in UTC.  [default: 30 days before the end]",
)
@click.option("--end", type=_day, metavar="DATE", help="Last day, included.  [default: yesterday]")
@click.option(
    "--format",
    "format_name",
    default="pdf",
    show_default=True,
    help="One of `flask reports types`.",
)
@click.option(
    "--organization-id", type=Id(), metavar="ID", help="Only this organization's figures."
)
@click.option(
    "--output", type=click.Path(dir_okay=False), help='A file, or "-" for standard output.'
)
def generate(
    report_type: str,
    *,
    start: datetime | None,
    end: datetime | None,
    format_name: str,
    organization_id: OwnerId | None,
    output: str | None,
) -> None:
    r"""Compute a report now and write it to a file.

    \b
    Examples:
      flask reports generate monthly-analytics --start 2026-10-01 --end 2026-10-31
      flask reports generate job-performance --format html --output jobs.html
      flask reports generate subscription-summary --format json --output - | jq .figures
    """
    period = _period(start, end)
    try:
        catalog.get_report_type(report_type)
        format_ = get_format(format_name)
        target = output or file_name(report_type, period, format_.name)
        _check_folder(target)
        content = format_.render(catalog.compute(report_type, period, organization_id))
    except (ValidationError, PermanentError) as error:
        raise _refused(error) from error
    _write(target, content)


def _period(start: datetime | None, end: datetime | None) -> Period:
    last = end.date() if end else datetime.now(UTC).date() - timedelta(1)
    first = start.date() if start else last - timedelta(DEFAULT_DAYS - 1)
    return _checked(first, last)


def _checked(first: date, last: date) -> Period:
    options = {"startDate": "--start", "endDate": "--end"}
    for field, messages in problems(first, last).items():
        said = " ".join(messages).replace("startDate", "--start")
        raise _refused(f"{options[field]}: {said}")
    return Period(first, last)


def _check_folder(target: str) -> None:
    """Check, before the figures are computed, that the file can be written."""
    folder = Path(target).parent
    if target != "-" and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise _refused(f"--output: {folder} is not a writable folder; create it first")


def _write(target: str, content: bytes) -> None:
    """Write the file, whole or not at all."""
    if target == "-":
        sys.stdout.buffer.write(content)
        return
    path = Path(target)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except OSError as error:
            Path(file.name).unlink(missing_ok=True)
            raise _refused(f"--output: {path} cannot be written: {error.strerror}") from error
    click.echo(f"{path}  {len(content):,} bytes")


def _print(described: dict[str, str]) -> None:
    width = max(map(len, described))
    for name, description in described.items():
        click.echo(f"{name:<{width}}  {description}")


def _refused(why: Any) -> "Refused":
    return Refused(" ".join(why.messages) if isinstance(why, ValidationError) else str(why))


class Refused(click.ClickException):
    exit_code = 2
