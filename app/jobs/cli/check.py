"""`flask jobs check`: does this version of the code accept what is queued?"""

import sys
from dataclasses import asdict

import click

from ..operate.queue_check import check_queued
from .formatting import table
from .group import FAILED, as_json, jobs, print_json


@jobs.command("check")
@as_json
def check_jobs(*, as_json: bool) -> None:
    r"""List queued jobs that this version of the code would reject.

    Run it from a new release before switching over. It checks all jobs that are pending or will
    be retried: their type, the version and shape of their payload, and the keys of their sealed
    fields. It does not check payloads that only a schedule at QStash holds. Exit code 1 if any job
    would be rejected.

    \b
    Examples:
      flask jobs check
      flask jobs check --json | jq -r '.[].job_id'
    """
    count, refused = 0, []
    for job in check_queued():
        count += 1
        if job.refusal is not None:
            refused.append(job)
    if as_json:
        print_json([asdict(job) for job in refused])
    elif refused:
        rows = [(job.job_id, job.job_type, job.status, job.refusal or "") for job in refused]
        click.echo(table([("ID", "TYPE", "STATUS", "REASON"), *rows]))
        click.echo(f"\n{len(refused)} of {count} queued jobs would be rejected.")
    else:
        click.echo(f"All {count} queued jobs would be accepted.")
    sys.exit(FAILED if refused else 0)
