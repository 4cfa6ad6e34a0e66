"""`flask webhooks …`: list, show and replay what came in, and send signed samples."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import click
from flask import current_app

from app.db import db
from app.families.webhooks import bp, inbox
from app.families.webhooks.inbox import Filter
from app.families.webhooks.models import WebhookEvent
from app.families.webhooks.samples import samples
from app.families.webhooks.sources import SOURCES, Source
from app.jobs import get_job_execution_by_job_id
from app.jobs.cli.kit import (
    Duration,
    Refused,
    acting_as,
    as_json,
    limit,
    print_json,
    state,
    table,
)

SECONDS = 10
_MEMBERS = (
    *("id", "source", "event", "delivery_id", "verified", "sealed", "headers", "job_id"),
    "repeats",
)


@bp.cli.command("list")
@click.option("--source", help="Only webhooks of this source.")
@click.option("--event", help="Only webhooks of this event.")
@click.option(
    "--since", type=Duration(), help='Only webhooks received within this time, e.g. "2h".'
)
@limit
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


@bp.cli.command("show")
@click.argument("webhook_id", metavar="ID", type=int)
@as_json
def show_webhook(webhook_id: int, *, as_json: bool) -> None:
    """Show one webhook: its headers, its body and the state of its job."""
    row = inbox.get(webhook_id)
    job = get_job_execution_by_job_id(row.job_id) if row.job_id else None
    shown = {**_as_json(row), "job_status": state(job) if job else None}
    if as_json:
        print_json({**shown, "body": _body(row)})
        return
    for name, value in shown.items():
        click.echo(f"{name:<13}{json.dumps(value) if isinstance(value, dict) else value}")
    click.echo(f"\nbody\n{json.dumps(_body(row), indent=2, ensure_ascii=False)}")


@bp.cli.command("replay")
@click.argument("webhook_id", metavar="ID", type=int)
@acting_as
@as_json
def replay_webhook(webhook_id: int, *, by: str, as_json: bool) -> None:
    r"""Process a stored webhook again, in a new job.

    \b
    Example:
      flask webhooks replay 12
    """
    job_id = inbox.replay(webhook_id, by=by)
    if as_json:
        print_json({"id": webhook_id, "job_id": job_id})
    else:
        click.echo(f"{job_id}\nFollow it with: flask jobs watch {job_id}")


@bp.cli.command("send")
@click.argument("source")
@click.argument("event")
@click.option("--event-file", type=click.File("rb"), help="Send this JSON instead of a sample.")
@click.option("--delivery-id", help="Use this id instead of a new one; a known id is a repeat.")
@as_json
def send_webhook(
    source: str, event: str, event_file: Any, *, delivery_id: str | None, as_json: bool
) -> None:
    r"""Send a webhook as its source would, to this app at BASE_URL.

    Needs no account and no network: it is signed with this app's own secret.

    \b
    Examples:
      flask webhooks send github push
      flask webhooks send resend email.bounced
      flask webhooks send acme order.paid --event-file order.json
    """
    found = _source(source)
    body = event_file.read() if event_file else _sample(found, event)
    sent = delivery_id or f"local-{uuid4()}"
    _post(found, body, _headers(found, event, body, sent))
    db.session.rollback()
    row = inbox.find(found.name, sent) if found.id_headers else None
    result = {"delivery_id": sent, "id": row.id if row else None, "job_id": row and row.job_id}
    if as_json:
        print_json(result)
    elif row:
        click.echo(f"Received as webhook {row.id}; follow its job: flask jobs watch {row.job_id}")
    else:
        click.echo("Received; find it with: flask webhooks list")


def _line(row: WebhookEvent, status: str | None) -> tuple[str, ...]:
    received = row.received_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (str(row.id), received, row.source, row.event, status or "deleted")


def _as_json(row: WebhookEvent) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _MEMBERS}
    address = str(row.ip_address) if row.ip_address else None
    again = row.repeated_at.isoformat() if row.repeated_at else None
    received = {"received_at": row.received_at.isoformat(), "repeated_at": again}
    return {**values, **received, "ip_address": address}


def _body(row: WebhookEvent) -> Any:
    """Return the body as JSON, unless it is sealed: terminals and their logs are not private."""
    return "(sealed)" if row.sealed else json.loads(row.body)


def _source(name: str) -> Source:
    found = SOURCES.get(name)
    if found is None:
        raise Refused(f"unknown source {name!r}; known sources: {', '.join(sorted(SOURCES))}")
    if found.job:
        raise Refused(f"{name} has its own commands: see `flask {name} --help`")
    return found


def _sample(source: Source, event: str) -> bytes:
    known = samples(source.name)
    if event not in known:
        there = f"samples: {', '.join(known)}" if known else "this source has none"
        raise Refused(f"no sample of {event!r}; {there}; pass --event-file to send your own")
    return json.dumps(known[event]).encode()


def _headers(source: Source, event: str, body: bytes, delivery_id: str) -> dict[str, str]:
    secrets = source.secrets(current_app.config)
    if source.is_verified and not secrets:
        raise Refused(f"set {source.setting}, the secret that {source.name} signs with")
    signed = source.verifier.sign(body, secrets[0] if secrets else "", delivery_id=delivery_id)
    named = {source.event_header: event} if source.event_header else {}
    identified = {source.id_headers[0]: delivery_id} if source.id_headers else {}
    return {"Content-Type": "application/json", **named, **identified, **signed}


def _post(source: Source, body: bytes, headers: dict[str, str]) -> None:
    url = f"{current_app.config['BASE_URL']}/api/webhooks/{source.name}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - BASE_URL is http or https
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        raise Refused(f"{url} answered {error.code}: {said}") from None
    except OSError as error:
        raise Refused(f"{url} cannot be reached: {error}; is `make dev` running?") from None
