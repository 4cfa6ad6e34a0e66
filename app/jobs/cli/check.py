"""`flask jobs check`: does the code still take what is queued?"""

import sys
from dataclasses import asdict

import click

from ..operate.queue_check import check_queued
from .formatting import table
from .group import FAILED, as_json, jobs, print_json


@jobs.command("check")
@as_json
def check_jobs(*, as_json: bool) -> None:
    """List the queued jobs whose payload this code would refuse; exit code 1 if there are any.

    Run it with the new code before that takes over. It looks at jobs that are pending, or failed
    and not dead: at their type, their payload's version and shape, and their sealed fields' keys.
    What only a schedule at QStash holds is not in the table.
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
        click.echo(table([("ID", "TYPE", "STATUS", "REFUSED BECAUSE"), *rows]))
        click.echo(f"\n{len(refused)} of {count} queued jobs would be refused.")
    else:
        click.echo(f"All {count} queued jobs fit.")
    sys.exit(FAILED if refused else 0)
