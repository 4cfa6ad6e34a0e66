"""Measure what a snapshot that somebody holds open costs the jobs that go on meanwhile.

    python benchmarks/bloat.py [--jobs 6000] [--seconds 20]

A dump or a forgotten transaction keeps PostgreSQL from removing the versions of rows that were
replaced since. Two databases on one server get the same jobs in turns, each recorded, noted as
published, claimed and completed by the statements of a job; on one of them a snapshot is held from
the beginning to the end. Printed are PostgreSQL's CPU for each job, and the time of what a sweep,
the health and the metrics ask, by tenths of the run; then what is left of the dead rows once the
snapshot is gone.

`--seconds` is the shortest time for which the snapshot is held: jobs go on until both are reached.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import flask_migrate
import psycopg
from flask import Flask
from sqlalchemy import make_url

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.embedded_postgres.server import Server  # noqa: E402
from app.jobs.table import snapshot, sweep_sql  # noqa: E402
from app.jobs.table.db import in_transaction  # noqa: E402
from app.jobs.values.ids import new_job_id  # noqa: E402
from benchmarks.support.statements import CLAIM, COMPLETE, given  # noqa: E402

TENTHS = 10
TARGET = 1.15
RECORD = """
    INSERT INTO job_executions (job_id, job_type, payload, max_retries, options)
    SELECT id, 'noop', jsonb_build_object('jobId', id, 'payload', '{"to": "ann"}'::jsonb), 3,
           '{"retries": 3, "timeout": 60}'
      FROM unnest(%s::text[]) AS id ON CONFLICT (job_id) DO NOTHING
"""
NOTE_PUBLISHED = """
    UPDATE job_executions
       SET message_id = %(message_id)s, published_at = now(), updated_at = now()
     WHERE job_id = %(job_id)s AND generation = 0
"""
DEAD = """
    SELECT n_dead_tup, pg_table_size(relid) / 1e6, pg_indexes_size(relid) / 1e6
      FROM pg_stat_user_tables WHERE relname = 'job_executions'
"""


@dataclass
class Side:
    """One of the two databases.

    Attributes:
        jobs: Milliseconds of PostgreSQL's CPU for each job, by tenths.
        asked: The same for one round of what sweep, health and metrics ask.
    """

    name: str
    app: Flask
    url: str
    jobs: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._worker = psycopg.connect(self.url, autocommit=True)

    def begin(self) -> None:
        """Have some jobs, so that statements are planned for a table that is not empty."""
        self.run(5_000, lambda: False)
        self._worker.execute("VACUUM ANALYZE")
        self.jobs.clear()
        self.asked.clear()

    def run(self, count: int, more: Callable[[], bool]) -> int:
        """Bring jobs from their record to their completion, at least `count`; return how many."""
        done, start = 0, self._cpu()
        while done < count or more():
            ids = [new_job_id() for _ in range(100)]
            self._worker.execute(RECORD, [ids])
            for change in (NOTE_PUBLISHED, CLAIM, COMPLETE):
                with self._worker.pipeline():
                    for job_id in ids:
                        self._worker.execute(change.encode(), given(job_id))
            done += len(ids)
        self.jobs.append(1000 * (self._cpu() - start) / done)
        self.asked.append(self._ask())
        return done

    def state(self) -> tuple[float, float, float]:
        """Return the dead rows, and the megabytes of the table and of its indexes."""
        row = self._worker.execute(DEAD).fetchone()
        assert row
        return row[0], row[1], row[2]

    def clean(self) -> None:
        """Do what autovacuum does within a minute or so."""
        self._worker.execute("VACUUM job_executions")

    def _ask(self) -> float:
        """Return the milliseconds that what is asked all the time took."""
        with self.app.app_context():
            start = time.perf_counter()
            snapshot.measure()
            snapshot.measure_depth()
            in_transaction(lambda tx: tx.execute(sweep_sql.UNPUBLISHED, {"cap": 2_000}).all())
            in_transaction(lambda tx: tx.execute(sweep_sql.OLDEST_WAITING).all())
            db.session.remove()
            return 1000 * (time.perf_counter() - start)

    def _cpu(self) -> float:
        pid = self._worker.info.backend_pid
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=6_000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        server = Server(Path(name) / "postgres")
        url = server.start()
        try:
            measure(url, given.jobs, given.seconds)
        finally:
            server.destroy()


def measure(url: str, jobs: int, seconds: float) -> None:
    free, held = (make_side(url, name) for name in ("free", "held"))
    for side in (free, held):
        side.begin()
    with psycopg.connect(held.url) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM job_executions")
        start, counted = time.monotonic(), 0
        print("tenth     jobs    CPU ms each: free    held   asked ms: free    held")
        for tenth in range(1, TENTHS + 1):
            until = start + seconds * tenth / TENTHS
            counted += held.run(jobs // TENTHS, lambda until=until: time.monotonic() < until)  # type: ignore[misc]  # mypy cannot infer a default's type
            free.run(jobs // TENTHS, lambda: False)
            print(
                f"{tenth:5} {counted:8,} {free.jobs[-1]:20.3f} {held.jobs[-1]:7.3f}"
                f" {free.asked[-1]:16.1f} {held.asked[-1]:7.1f}",
                flush=True,
            )
        time.sleep(1.5)  # until the connections have told their statistics
        report("while the snapshot is held", free, held)
        holder.rollback()
    for side in (free, held):
        side.clean()
    report("after it, and a vacuum", free, held)
    held.run(jobs // TENTHS, lambda: False)
    last = len(held.jobs) - 2
    ratio = sum(held.jobs[last - 4 : last + 1]) / sum(free.jobs[last - 4 : last + 1])
    print(f"CPU for each job in the second half, held beside free: {ratio:.2f}x (target {TARGET}x)")
    print(
        f"CPU for each job after the vacuum: {held.jobs[-1]:.3f} ms, asked {held.asked[-1]:.1f} ms"
    )


def make_side(url: str, name: str) -> Side:
    mine = make_url(url).set(database=name)
    with psycopg.connect(_shown(url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    os.environ.update(APP_ENV="test", DATABASE_URL=url, LOG_LEVEL="ERROR")
    shown = mine.render_as_string(hide_password=False)
    app = create_app({"SQLALCHEMY_DATABASE_URI": shown})
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        db.session.remove()
    return Side(name, app, _shown(shown))


def report(when: str, *sides: Side) -> None:
    for side in sides:
        dead, table, indexes = side.state()
        print(f"{when}, {side.name}: {dead:,.0f} dead rows, {table:.0f} MB + {indexes:.0f} MB")


def _shown(url: str) -> str:
    plain = make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
