"""The kinds of data that are cleaned up: each can be counted, and deleted in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from flask import current_app
from sqlalchemy import Connection, func, select

from app import artifacts
from app.artifacts import Artifact
from app.db import db
from app.families.cleanup.batches import OldRows, Rows, delete_in_batches
from app.jobs import FinishedJobs

#: Artifacts whose files are removed in one batch.
FILES = 100

# A webhook is kept as long as its job may need it.
_JOB_IS_OPEN = """
    EXISTS (SELECT FROM job_executions AS job
             WHERE job.job_id = webhook_events.job_id
               AND (job.status IN ('pending', 'processing')
                    OR job.status = 'failed' AND job.dead_at IS NULL))
"""


class OldData(Protocol):
    """One kind of data that is past its retention."""

    def count(self, connection: Connection) -> int: ...

    def delete_all(self) -> Iterator[int]:
        """Delete it in batches, each committed, and yield the size of each."""


def old_data(now: datetime, retention: int) -> dict[str, OldData]:
    """Return, by kind, what is older than `retention` days or past its own retention."""
    before = now - timedelta(days=retention)
    activity = now - timedelta(days=current_app.config["ACTIVITY_RETENTION_DAYS"])
    return {
        "jobExecutions": _Table(FinishedJobs.due(now, timedelta(days=retention))),
        "webhookEvents": _Table(
            OldRows("webhook_events", "received_at", before, unless=_JOB_IS_OPEN)
        ),
        "activityLogs": _Table(OldRows("activity_logs", "created_at", activity)),
        "artifacts": _ExpiredArtifacts(now),
        "orphanedFiles": _OrphanedFiles(),
    }


@dataclass(frozen=True, slots=True)
class _Table:
    rows: Rows

    def count(self, connection: Connection) -> int:
        return self.rows.count(connection)

    def delete_all(self) -> Iterator[int]:
        return delete_in_batches(self.rows)


@dataclass(frozen=True, slots=True)
class _ExpiredArtifacts:
    now: datetime

    def count(self, connection: Connection) -> int:
        expired = select(func.count()).where(Artifact.expires_at < self.now)
        return connection.execute(expired).scalar_one()

    def delete_all(self) -> Iterator[int]:
        while count := artifacts.remove_expired(FILES):
            db.session.commit()
            yield count


class _OrphanedFiles:
    def count(self, _: Connection) -> int:
        return sum(1 for _ in artifacts.orphans())

    def delete_all(self) -> Iterator[int]:
        yield artifacts.remove_orphans()
