"""`flask webhooks list`, `show` and `replay`: what came in, and having it processed again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from app.families.webhooks import inbox, public
from app.families.webhooks.inbox import Filter
from app.families.webhooks.models import WebhookEvent
from app.jobs.cli.formatting import state, table
from app.jobs.cli.group import as_json, print_json
from app.jobs.cli.params import Duration
from app.jobs.table.job_rows import get_job_execution_by_job_id

_MEMBERS = ("id", "source", "event", "delivery_id", "verified", "sealed", "headers", "job_id")


@public.cli.command("list")
@click.option("--source", help="Only webhooks of this source.")
@click.option("--event", help="Only webhooks of this event.")
@click.option("--since", type=Duration(), help='Received at most so long ago: "2h".')
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json
def list_webhooks(
    source: str | None, event: str | None, since: int | None, *, limit: int, as_json: bool
) -> None:
    r"""List webhooks, newest first.

    \b
    Example:
      flask webhooks list --source github --event push --since 2h
    """
    earliest = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
    found = inbox.newest(Filter(source, event, earliest), limit=limit)
    if as_json:
        print_json([{**_as_json(row), "job_status": status} for row, status in found])
    elif found:
        head = ("ID", "RECEIVED", "SOURCE", "EVENT", "JOB")
        click.echo(table([head, *(_line(row, status) for row, status in found)]))
    else:
        click.echo("No webhooks.")


@public.cli.command("show")
@click.argument("webhook_id", metavar="ID", type=int)
@as_json
def show_webhook(webhook_id: int, *, as_json: bool) -> None:
    """Show one webhook: its headers, its body and what became of its job."""
    row = inbox.get(webhook_id)
    job = get_job_execution_by_job_id(row.job_id) if row.job_id else None
    shown = {**_as_json(row), "job_status": state(job) if job else None}
    if as_json:
        print_json({**shown, "body": _body(row)})
        return
    for name, value in shown.items():
        click.echo(f"{name:<13}{json.dumps(value) if isinstance(value, dict) else value}")
    click.echo(f"\nbody\n{json.dumps(_body(row), indent=2, ensure_ascii=False)}")


@public.cli.command("replay")
@click.argument("webhook_id", metavar="ID", type=int)
@as_json
def replay_webhook(webhook_id: int, *, as_json: bool) -> None:
    r"""Have a stored webhook processed once more, by a new job.

    \b
    Example:
      flask webhooks replay 12
    """
    job_id = inbox.replay(webhook_id)
    if as_json:
        print_json({"id": webhook_id, "job_id": job_id})
    else:
        click.echo(f"{job_id}\nFollow it with: flask jobs watch {job_id}")


def _line(row: WebhookEvent, status: str | None) -> tuple[str, ...]:
    received = row.received_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (str(row.id), received, row.source, row.event, status or "deleted")


def _as_json(row: WebhookEvent) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _MEMBERS}
    address = str(row.ip_address) if row.ip_address else None
    return {**values, "received_at": row.received_at.isoformat(), "ip_address": address}


def _body(row: WebhookEvent) -> Any:
    """Return the body as JSON; what is sealed stays so, as terminals and their logs are open."""
    return "(sealed)" if row.sealed else json.loads(row.body)
