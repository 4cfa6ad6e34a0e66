"""`flask jobs enqueue`."""

from typing import Any

import click
from flask import current_app

from ..enqueue import enqueuer
from . import formatting
from .group import as_json, find_job, jobs, print_json
from .params import JobType, Payload
from .publishing import Moment, given, publishing


@jobs.command("enqueue")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("payload", type=Payload())
@publishing
@click.option("--idempotency-key", metavar="KEY", help="Enqueue at most one job per key.")
@click.option(
    "--not-before", type=Moment(), metavar="TIME", help="Deliver no earlier; needs a time zone."
)
@as_json
def enqueue_job(job_type: str, payload: Any, as_json: bool, **options: Any) -> None:
    r"""Enqueue a job and print its id.

    PAYLOAD is JSON, @FILE to read it from a file, or @- to read it from standard input.

    \b
    Examples:
      flask jobs enqueue send-email @email.json --delay 10m
      flask jobs enqueue send-email @email.json --not-before 2026-12-24T18:00+01:00
      flask jobs enqueue export-data @export.json --queue exports --header 'X-Tenant: acme'
      flask jobs enqueue send-email '{"to": "ann@example.com", "template": "passwordChanged",
                                      "data": {"recipientName": "Ann"}}'
    """
    job_id = enqueuer.enqueue(job_type, payload, **given(options))
    if as_json:
        print_json(formatting.as_json(find_job(job_id)))
        return
    click.echo(job_id)
    if current_app.config["JOBS_PUBLISH"] == "inline" and not find_job(job_id).published_at:
        click.echo(
            f"Not published yet: QSTASH_URL={current_app.config['QSTASH_URL']} did not take it, "
            "and the sweep tries again; `flask jobs doctor --only qstash` says why",
            err=True,
        )
    click.echo(f"Next: flask jobs watch {job_id}", err=True)
