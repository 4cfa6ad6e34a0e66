"""What one job costs PostgreSQL, step by step: enqueue, claim, completion."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg
from flask import Flask
from marshmallow import fields

from app.jobs import Job, JobBlueprint, PayloadSchema, enqueue
from tests.support import qstash

STEPS = ("enqueue", "claim", "complete")
PATH = "/api/jobs/measured"
COUNTERS = """
    SELECT pg_current_wal_insert_lsn() - '0/0',
           array_agg(pid::text) FILTER (WHERE pid <> pg_backend_pid())
      FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
"""
UPDATES = """
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'job_executions'
"""


class Reading(NamedTuple):
    """What PostgreSQL has used until now.

    Attributes:
        cpu: Milliseconds, of the app's connections.
        wal: Bytes, of the whole server.
    """

    cpu: float
    wal: float


@dataclass(frozen=True, slots=True)
class Measured:
    text: str


class MeasuredSchema(PayloadSchema[Measured]):
    model = Measured

    text = fields.String(required=True)


@dataclass
class Meter:
    """An app whose jobs are measured.

    Attributes:
        found: By step, what each job cost.
    """

    app: Flask
    url: str
    found: dict[str, list[Reading]] = field(default_factory=lambda: {step: [] for step in STEPS})

    def __post_init__(self) -> None:
        self._admin = psycopg.connect(self.url, autocommit=True)
        self._begun = Reading(0, 0)
        self._client = self.app.test_client()
        blueprint = JobBlueprint("measured", "measured")

        @blueprint.job("measured", "/measured", payload=MeasuredSchema, description="Does nothing")
        def measured(payload: Measured, job: Job) -> None:  # noqa: ARG001 - as handlers have it
            self._begun = self.read()

        self.app.register_blueprint(blueprint)

    def run(self, text: str) -> None:
        """Enqueue a job, deliver it, and note what each step cost."""
        before = self.read()
        enqueue("measured", {"text": text}, delay=86400)
        enqueued = self.read()
        self._note("enqueue", before, enqueued)
        body = self._envelope()
        answer = qstash.deliver(self._client, body, PATH)
        assert answer.status_code == 200, answer.text
        self._note("claim", enqueued, self._begun)
        self._note("complete", self._begun, self.read())

    def median(self, step: str) -> Reading:
        found = self.found[step]
        return Reading(
            statistics.median(one.cpu for one in found), statistics.median(one.wal for one in found)
        )

    def updates(self) -> tuple[int, int]:
        """Return how many updates there were, and how many of them were heap-only."""
        row = self._admin.execute(UPDATES).fetchone()
        assert row
        return row[0], row[1]

    def read(self) -> Reading:
        row = self._admin.execute(COUNTERS).fetchone()
        assert row
        return Reading(1000 * sum(map(_cpu_seconds, row[1] or [])), float(row[0]))

    def _envelope(self) -> bytes:
        row = self._admin.execute(
            "SELECT payload::text FROM job_executions ORDER BY created_at DESC, id DESC LIMIT 1"
        ).fetchone()
        assert row
        return str(row[0]).encode()

    def _note(self, step: str, before: Reading, after: Reading) -> None:
        self.found[step].append(Reading(after.cpu - before.cpu, after.wal - before.wal))


def _cpu_seconds(pid: str) -> float:
    """Return what a process has used, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
