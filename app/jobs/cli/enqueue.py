"""`flask jobs enqueue`."""

from typing import Any

import click
from flask import current_app

from ..enqueue.enqueuer import JobId
from ..events import Event, Unpublished, observe
from ..operate import again, unique, waiting
from ..publish import outbox
from . import formatting
from .group import acting_as, as_json, find_job, jobs, print_json
from .params import JobType, Payload
from .publishing import Moment, given, publishing, tags


@jobs.command("enqueue")
@click.argument("job_type", metavar="TYPE", type=JobType())
@click.argument("payload", type=Payload())
@publishing
@click.option("--idempotency-key", metavar="KEY", help="Enqueue at most one job per key.")
@click.option(
    "--idempotency-ttl", metavar="TIME", help="Let the key be used again after this, e.g. 24h."
)
@tags
@click.option(
    "--not-before", type=Moment(), metavar="TIME", help="Deliver no earlier; needs a time zone."
)
@acting_as
@as_json
def enqueue_job(job_type: str, payload: Any, by: str, as_json: bool, **options: Any) -> None:
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
    reasons = reasons_of_waiting()
    made = again.enqueue_by_hand(job_type, payload, by=by, **given(options))
    tell(made, reasons, as_json=as_json)


def tell(job_id: JobId, reasons: list[str], *, as_json: bool) -> None:
    """Print a new job's id, and what is to be known of it."""
    if background := current_app.extensions["jobs"].background:
        background.close()  # this process ends with it
    outbox.notes().flush()
    row = find_job(job_id)
    if as_json:
        print_json(formatting.as_json(row))
    else:
        click.echo(job_id)
    if said := unique.came_to(job_id):
        click.echo(f"{job_id.enqueued_as.capitalize()}: {said}", err=True)
    if row.pause:
        click.echo(f"Not published yet: {waiting.reasons([row]).get(job_id)}", err=True)
    elif reasons or not row.published_at:
        url, why = current_app.config["QSTASH_URL"], "".join(f": {one}" for one in reasons[-1:])
        said = f"Not published yet: QSTASH_URL={url} did not take it{why}; the sweep tries again"
        click.echo(said, err=True)
    if not as_json:
        click.echo(f"Next: flask jobs watch {job_id}", err=True)


def reasons_of_waiting() -> list[str]:
    """Return a list to which is added why QStash does not take a job."""
    reasons: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Unpublished):
            reasons.append(event.reason)

    observe(current_app._get_current_object(), listen)  # type: ignore[attr-defined]  # noqa: SLF001 - public in the docs
    return reasons
