"""`flask jobs enqueue`."""

from typing import Any

import click

from ..enqueue import enqueuer
from . import formatting
from .group import as_json, find_job, jobs, print_json
from .params import JobType, Payload
from .publishing import Moment, given, publishing


@jobs.command("enqueue")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("payload", type=Payload())
@publishing
@click.option("--idempotency-key", metavar="KEY", help="The same key again makes no second job.")
@click.option("--not-before", type=Moment(), metavar="TIME", help="When to deliver, with its zone.")
@as_json
def enqueue_job(job_type: str, payload: Any, as_json: bool, **options: Any) -> None:
    r"""Enqueue a job and print its id.

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
    click.echo(f"Follow it with: flask jobs watch {job_id}", err=True)
