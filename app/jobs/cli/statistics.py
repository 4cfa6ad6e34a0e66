"""`flask jobs stats`: how many, how fast, how long they waited."""

from dataclasses import asdict

import click

from app.jobs import show
from app.jobs.cli.durations import Duration
from app.jobs.cli.group import as_json, jobs, print_json
from app.jobs.cli.job_type import JobType
from app.jobs.stats import COUNTED, Statistic, stats

HEAD = ("TYPE", "STATUS", "JOBS", "PER MIN", "AVERAGE", "P50", "P95", "WAIT P50", "WAIT P95")


@jobs.command("stats")
@click.option("--since", type=Duration(), default="1h", show_default=True, help="How far back.")
@click.option("--type", "job_type", type=JobType(recorded=True), help="Only of this type.")
@as_json
def show_stats(since: int, job_type: str | None, as_json: bool) -> None:
    r"""Count the jobs recorded of late by type and status, with their times.

    How long jobs ran is that of completed ones, in their last attempt; how long they waited, from
    when they were due to their start, is that of those that were started once. Of more than
    100,000 jobs the newest are counted. In JSON times are in seconds.

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
        click.echo(f"No jobs in the last {show.duration(found.seconds)}.")
        return
    click.echo(show.table([HEAD, *(_cells(row) for row in found.rows)], shrink=(0,)))
    counted = f"the newest {COUNTED:,}: " if found.capped else ""
    click.echo(f"\n{counted}jobs of the last {show.duration(found.seconds)}")


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
        *map(show.duration, times),
    )
