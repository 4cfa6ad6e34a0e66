"""What this app's tables know of a job, on the job's page."""

from datetime import timedelta

from sqlalchemy import func, select

from app import artifacts
from app.artifacts import Artifact
from app.dashboard.kit import Content, Link
from app.db import db
from app.jobs import JobExecution

#: For how long a link to a file is good: for somebody who looks at the page.
LINKED = timedelta(minutes=10)
#: Files that are shown of one job.
MOST = 50


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
