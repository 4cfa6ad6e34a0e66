"""The email that says a job's file is ready, enqueued in the transaction that completes the job.

So each recipient gets it once; a job that is killed, loses its lease or fails sends none.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flask import current_app
from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from app import artifacts
from app.artifacts import Artifact
from app.db import db
from app.families.email.catalog import FileReady
from app.families.email.fields import address
from app.jobs import Job

MOST_RECIPIENTS = 20


def recipients() -> "fields.List[str]":
    """Accept the addresses to notify when a job's file is ready, each listed once."""
    return fields.List(
        address(),
        load_default=list,
        validate=[Length(max=MOST_RECIPIENTS), _each_once],
    )


def tell_recipients(addresses: Sequence[str], artifact: Artifact, job: Job, *, what: str) -> None:
    """Enqueue the email, with a signed link to the file, for each address.

    Args:
        addresses: As a payload's `recipients` has them.
        artifact: The finished file.
        job: The emails join its transaction and get its owner.
        what: A description of the file, such as "Monthly analytics, 1 to 31 Oct 2026".
    """
    lifetime = timedelta(seconds=current_app.config["ARTIFACTS_LINK_EXPIRES"])
    ends = min(datetime.now(UTC) + lifetime, artifact.expires_at)
    link = artifacts.link(artifact)
    for to in addresses:
        FileReady(
            to,
            what=what,
            file_name=artifact.name,
            download_url=link,
            available_until=f"{ends.day} {ends:%b %Y, %H:%M} UTC",
        ).enqueue(user_id=job.user_id, organization_id=job.organization_id, session=db.session)


def _each_once(addresses: list[str]) -> None:
    folded = [address.casefold() for address in addresses]
    twice = sorted({address for address in folded if folded.count(address) > 1})
    if twice:
        raise ValidationError(f"Listed more than once: {', '.join(twice)}.")
