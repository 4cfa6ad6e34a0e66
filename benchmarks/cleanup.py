"""Measure the deletion of a million of two million jobs beside one plain DELETE of the same rows.

    python benchmarks/cleanup.py [--rows 400000]

Prints ratios, all taken in this run on its own PostgreSQL: the CPU and the time that the cleanup
takes compared with a single DELETE statement (which locks all rows until it is done), and what it
does meanwhile to the slowest hundredth of the INSERTs and commits that enqueues make. The time
depends on what else the machine does, as each batch waits for its turn; the CPU does not.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from uuid import uuid4

import flask_migrate
from sqlalchemy import insert

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.families.cleanup.batches import delete_in_batches  # noqa: E402
from app.jobs import FinishedJobs, JobExecution  # noqa: E402
from benchmarks.support.processes import own_cpu_seconds  # noqa: E402

RETENTION = timedelta(days=90)
IDLE_SECONDS = 10
FILL = """
    INSERT INTO job_executions (job_id, job_type, status, payload, attempts, created_at,
                                updated_at, completed_at)
    SELECT gen_random_uuid(), 'send-email', 'completed',
           '{"payload": {"to": "ann@example.com", "template": "welcome"}}',
           '[{"number": 1, "outcome": "completed", "duration_ms": 12}]', moment, moment, moment
      FROM generate_series(1, :rows) AS n, LATERAL (
           SELECT now() - make_interval(days => CASE WHEN n % 2 = 0 THEN 200 ELSE 10 END,
                                        secs => n * 0.1) AS moment) AS made
"""


class Cost(NamedTuple):
    """Seconds: as they pass, and of PostgreSQL's CPU."""

    time: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--clean", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.clean:
        with create_app().app_context():
            print(*cost(clean))
        return
    with temporary_server() as server:
        os.environ.update(APP_ENV="test", DATABASE_URL=server.url(), LOG_LEVEL="ERROR")
        with create_app().app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            measure(given.rows)
            db.session.remove()
            db.engine.dispose()


def measure(rows: int) -> None:
    fill(rows)
    plain = cost(delete_plainly)
    fill(rows)
    idle_until = perf_counter() + IDLE_SECONDS
    idle = enqueues(lambda: perf_counter() < idle_until)
    command = [sys.executable, __file__, "--clean"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cleaner:  # noqa: S603 - ourselves
        busy = enqueues(lambda: cleaner.poll() is None)
        output = cleaner.communicate()[0]
    assert count_old() == 0, f"{count_old()} old rows are left"
    report(rows // 2, plain, Cost(*map(float, output.split())), idle, busy)


def fill(rows: int) -> None:
    db.session.execute(db.text("TRUNCATE job_executions"))
    db.session.execute(db.text(FILL), {"rows": rows})
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE job_executions")
        connection.exec_driver_sql("CHECKPOINT")


def delete_plainly() -> None:
    statement = "DELETE FROM job_executions WHERE completed_at < :before"
    db.session.execute(db.text(statement), {"before": datetime.now(UTC) - RETENTION})
    db.session.commit()


def clean() -> None:
    for _ in delete_in_batches(FinishedJobs(datetime.now(UTC) - RETENTION)):
        pass


def count_old() -> int:
    with db.engine.connect() as connection:
        return FinishedJobs(datetime.now(UTC) - RETENTION).count(connection)


def cost(work: Callable[[], object]) -> Cost:
    """Return what work on the only connection of this process takes."""
    before = cpu_of_postgres()
    took = seconds(work)
    return Cost(took, cpu_of_postgres() - before)


def cpu_of_postgres() -> float:
    with db.engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return own_cpu_seconds(pid)


def seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def enqueues(more: Callable[[], bool]) -> list[float]:
    """Return the seconds that each enqueue's INSERT and commit took while something else ran."""
    took = []
    while more():
        took.append(seconds(insert_one))
    return took


def insert_one() -> None:
    row = {"job_id": str(uuid4()), "job_type": "noop", "payload": {"payload": {}}}
    db.session.connection().execute(insert(JobExecution.__table__), row)  # type: ignore[arg-type]
    db.session.commit()


def report(rows: int, plain: Cost, cleaned: Cost, idle: list[float], busy: list[float]) -> None:
    p99 = [statistics.quantiles(times, n=100)[98] * 1000 for times in (idle, busy)]
    for name, each in (("one plain DELETE", plain), ("the cleanup, in short batches", cleaned)):
        print(f"{name:30} of {rows:,} rows {each.time:7.2f} s, CPU of PostgreSQL {each.cpu:6.2f} s")
    times, cpu = cleaned.time / plain.time, cleaned.cpu / plain.cpu
    print(f"  compared with the plain one: {times:.2f}x the time, {cpu:.2f}x the CPU (target 1.5x)")
    print(f"enqueue p99 idle {p99[0]:.1f} ms, during the cleanup {p99[1]:.1f} ms")
    print(f"  p99 compared with idle: {p99[1] / p99[0]:.2f}x (target below 3x)")


if __name__ == "__main__":
    main()
