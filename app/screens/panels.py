"""What this app's tables know of a job, on the job's page."""

from datetime import timedelta

from sqlalchemy import func, select

from app import artifacts
from app.artifacts import Artifact
from app.dashboard.kit import Content, Link, link
from app.db import db
from app.families.webhooks import inbox
from app.jobs import JobExecution

#: For how long a link to a file is good: for somebody who looks at the page.
LINKED = timedelta(minutes=10)
#: Files that are shown of one job.
MOST = 50


def webhook(row: JobExecution) -> Content:
    """Show which webhook a job of `process-webhook` processes."""
    payload = row.payload.get("payload")
    given = payload if isinstance(payload, dict) else {}
    found = inbox.find(str(given.get("source")), str(given.get("deliveryId")))
    if found is None:
        return None
    return {
        "Source": found.source,
        "Event": found.event,
        "Delivery": Link(found.delivery_id, link("webhooks_show", webhook_id=found.id)),
        "Verified": "yes" if found.verified else "no",
    }


def files(row: JobExecution) -> Content:
    """Show the files that a job made."""
    made = (
        select(Artifact)
        .where(Artifact.job_id == row.job_id, Artifact.expires_at > func.now())
        .order_by(Artifact.created_at, Artifact.id)
        .limit(MOST)
    )
    found = list(db.session.scalars(made))
    return {
        f"{number}. {one.name}": Link(f"{one.size:,} bytes", artifacts.link(one, expires_in=LINKED))
        for number, one in enumerate(found, 1)
    }
