"""`flask webhooks send`: a source's webhook, signed as that signs it, to the running app."""

import json
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4

import click
from flask import current_app

from app.db import db
from app.families.webhooks import inbox, public
from app.families.webhooks.samples import samples
from app.families.webhooks.sources import SOURCES, Source
from app.jobs.cli.group import Refused, as_json, print_json

SECONDS = 10


@public.cli.command("send")
@click.argument("source")
@click.argument("event")
@click.option("--event-file", type=click.File("rb"), help="Send this JSON instead of a sample.")
@click.option("--delivery-id", help="Instead of a new one; the same again is a repeat.")
@as_json
def send_webhook(
    source: str, event: str, event_file: Any, *, delivery_id: str | None, as_json: bool
) -> None:
    r"""Send a webhook as its source would, to this app at BASE_URL.

    Needs no account and no network: it is signed with the secret that this app has itself.

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


def _source(name: str) -> Source:
    found = SOURCES.get(name)
    if found is None:
        raise Refused(f"there is no source {name!r}; there are: {', '.join(sorted(SOURCES))}")
    if found.job:
        raise Refused(f"{name} has senders of its own: see `flask {name} --help`")
    return found


def _sample(source: Source, event: str) -> bytes:
    known = samples(source.name)
    if event not in known:
        there = f"there are: {', '.join(known)}" if known else "there is none for this source"
        raise Refused(f"no sample of {event!r}; {there}; give one with --event-file")
    return json.dumps(known[event]).encode()


def _headers(source: Source, event: str, body: bytes, delivery_id: str) -> dict[str, str]:
    secrets = source.secrets(current_app.config)
    if source.is_verified and not secrets:
        raise Refused(f"set {source.setting}, with which {source.name} signs")
    signed = source.verifier.sign(body, secrets[0] if secrets else "", delivery_id=delivery_id)
    named = {source.event_header: event} if source.event_header else {}
    identified = {source.id_headers[0]: delivery_id} if source.id_headers else {}
    return {"Content-Type": "application/json", **named, **identified, **signed}


def _post(source: Source, body: bytes, headers: dict[str, str]) -> None:
    url = f"{current_app.config['BASE_URL']}/api/webhooks/{source.name}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - BASE_URL is http or https
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310 - likewise
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        raise Refused(f"{url} answered {error.code}: {said}") from None
    except OSError as error:
        raise Refused(f"{url} cannot be reached: {error}; is `make dev` running?") from None
