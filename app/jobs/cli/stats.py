"""`flask jobs stats`: how many jobs, how fast, and how long they waited."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from .. import durations
from ..table.stats import COUNTED, Statistic, stats
from . import formatting
from .formatting import painted
from .group import as_json, jobs, print_json
from .params import Duration, JobType

HEAD = ("TYPE", "STATUS", "JOBS", "/MIN", "AVG", "P50", "P95", "WAIT", "W-P95")

#: Up to how many seconds a time is given in a unit of how many.
_UNITS = ((1, 0.001, "ms"), (100, 1, "s"), (6_000, 60, "m"), (172_800, 3600, "h"))


@jobs.command("stats")
@click.option(
    "--since", type=Duration(), default="1h", show_default=True, help="How far back to look."
)
@click.option("--type", "job_type", type=JobType(recorded=True), help="Only jobs of this type.")
@as_json
def show_stats(since: int, job_type: str | None, as_json: bool) -> None:
    r"""Count recent jobs by type and status, with run and wait times.

    The run time is that of the last attempt of completed jobs. The wait time is from when a job
    was due to its start, for jobs that were started once. Of more than 100,000 jobs only the newest
    are counted. JSON gives times in seconds.

    \b
    Examples:
      flask jobs stats --since 15m
      flask jobs stats --type send-email --since 1d --json
    """
    found = stats(since=since, job_type=job_type)
    if as_json:
        print_json(
            {
                "seconds": found.seconds,
                "capped": found.capped,
                "stats": [asdict(row) for row in found.rows],
            }
        )
        return
    if not found.rows:
        click.echo(f"No jobs in the last {durations.in_words(found.seconds)}.")
        return
    counted = f"Newest {COUNTED:,} jobs of the last" if found.capped else "Jobs of the last"
    click.echo(f"{painted(_table(found.rows))}\n\n{counted} {durations.in_words(found.seconds)}")
    click.echo("AVG, P50, P95: run time; WAIT, W-P95: wait time before that (P50 and P95)")


def _table(rows: Sequence[Statistic]) -> str:
    """Align texts on the left, numbers on the right."""
    lines = [HEAD, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return formatting.table(
        [
            (
                *line[:2],
                *(cell.rjust(wide) for cell, wide in zip(line[2:], widths[2:], strict=True)),
            )
            for line in lines
        ],
        shrink=(0,),
    )


def _cells(row: Statistic) -> tuple[str, ...]:
    status = row.status.value
    if status == "failed":
        status = "dead" if row.dead else "retrying"
    times = (row.average, row.p50, row.p95, row.waited_p50, row.waited_p95)
    return (
        row.job_type,
        status,
        f"{row.count:,}",
        f"{row.per_minute:,.1f}",
        *map(_brief, times),
    )


def _brief(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for below, unit, name in _UNITS:
        if seconds < below:
            return f"{seconds / unit:.{0 if name == 'ms' else 1}f}{name}"
    return f"{seconds / 86400:.1f}d"
