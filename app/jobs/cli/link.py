"""`flask jobs link`: a job's status, for someone without an account."""

import click

from ..operate import status_link
from .group import as_json, find_job, jobs, print_json
from .params import Duration, JobId


@jobs.command("link")
@click.argument("job_id", metavar="ID", type=JobId())
@click.option(
    "--expires-in",
    type=Duration(),
    default="1d",
    show_default=True,
    help="How long the link stays valid.",
)
@as_json
def link_job(job_id: str, expires_in: int, as_json: bool) -> None:
    r"""Print a link to a job's status that needs no login.

    \b
    Example:
      curl "$(flask jobs link 5f0c --expires-in 2h)"
    """
    url = status_link.status_url(find_job(job_id).job_id, expires_in=expires_in)
    print_json({"url": url, "expires_in": expires_in}) if as_json else click.echo(url)
