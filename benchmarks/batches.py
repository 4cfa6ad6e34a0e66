"""Measure jobs of a batch beside the same jobs without one.

    python -m benchmarks.batches [--jobs 10000] [--connections 16] [--rounds 2]

Prints ratios, each the median of rounds that take turns, on a PostgreSQL of its own:

- the rate at which jobs are claimed and completed on several connections at once, by the two
  statements of a delivery, with every commit on disk;
- what the claim and the completion of one job cost in CPU time of PostgreSQL, and in WAL;
- what a whole delivery costs, by HTTP through the app, in CPU time of both (200 jobs a round).
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import flask_migrate
import psycopg
from sqlalchemy import text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.jobs import batch, enqueue_many, signature  # noqa: E402
from app.jobs.publish import outbox  # noqa: E402
from app.jobs.testing import deliver  # noqa: E402
from app.jobs.testing.in_memory import InMemoryPublisher  # noqa: E402
from benchmarks.support.statements import CLAIM, COMPLETE, given  # noqa: E402
from tests.support.publishing import publishing  # noqa: E402
from tests.support.sample_jobs import bp  # noqa: E402

PAYLOAD = {"action": "none"}
DELIVERIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with temporary_server() as server:
        os.environ.update(APP_ENV="test", DATABASE_URL=server.url(), LOG_LEVEL="ERROR")
        app = create_app()
        app.config["JOBS_SWEEP_EVERY"] = 0.0
        app.register_blueprint(bp)
        with app.app_context(), publishing(app, InMemoryPublisher(base_url="http://x")):
            flask_migrate.upgrade(str(ROOT / "migrations"))
            db.create_all()
            rounds = [measure(given) for _ in range(given.rounds + 1)][1:]  # the first warms
    for name in rounds[0]:
        ratios = sorted(one[name] for one in rounds)
        middle = statistics.median(ratios)
        print(f"{name:<48} {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def measure(given: argparse.Namespace) -> dict[str, float]:
    """Return each figure of jobs in a batch, divided by that of the same jobs without."""
    alone, together = (at_once(given, fill) for fill in (without_batch, with_batch))
    one, other = (by_http(fill) for fill in (without_batch, with_batch))
    return {
        f"rate of {given.jobs:,} jobs on {given.connections} connections": together[0] / alone[0],
        "CPU of PostgreSQL, claim and completion": together[1] / alone[1],
        "WAL, claim and completion": together[2] / alone[2],
        "CPU of app and PostgreSQL, delivery": other[0] / one[0],
        "WAL, delivery": other[1] / one[1],
    }


def without_batch(job_type: str, count: int) -> list[str]:
    return enqueue_many(job_type, [PAYLOAD] * count)


def with_batch(job_type: str, count: int) -> list[str]:
    with batch("measured") as made:
        return made.enqueue_many([signature(job_type, PAYLOAD)] * count)


def at_once(
    given: argparse.Namespace, fill: Callable[[str, int], list[str]]
) -> tuple[float, float, float]:
    """Claim and complete jobs; return jobs a second, and CPU seconds and WAL bytes of each."""
    jobs = fresh(fill, given.jobs)
    shares = [jobs[number :: given.connections] for number in range(given.connections)]
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connections = [psycopg.connect(url, autocommit=True) for _ in shares]
    before, wal, start = cpu_of(connections), wal_bytes(), perf_counter()
    with ThreadPoolExecutor(len(shares)) as pool:
        list(pool.map(complete, connections, shares))
    seconds, spent = perf_counter() - start, cpu_of(connections) - before
    for connection in connections:
        connection.close()
    return given.jobs / seconds, spent / given.jobs, (wal_bytes() - wal) / given.jobs


def complete(connection: psycopg.Connection[Any], jobs: list[str]) -> None:
    for job_id in jobs:
        about = given(job_id)
        connection.execute(CLAIM.encode(), about)
        connection.execute(COMPLETE.encode(), about)


def by_http(fill: Callable[[str, int], list[str]]) -> tuple[float, float]:
    """Deliver jobs; return the CPU seconds and WAL bytes of each."""
    jobs = fresh(fill, DELIVERIES)
    wal, before, start = wal_bytes(), cpu_of_all(), process_time()
    for job_id in jobs:
        deliver(job_id)
    spent = process_time() - start + cpu_of_all() - before
    return spent / DELIVERIES, (wal_bytes() - wal) / DELIVERIES


def fresh(fill: Callable[[str, int], list[str]], count: int) -> list[str]:
    """Return jobs that are alone in the table, of which every page was just written."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("TRUNCATE job_executions, job_batches CASCADE"))
        jobs = fill("noop", count)
        outbox.notes().flush()  # that they are published; else it would be noted meanwhile
        connection.execute(text("VACUUM ANALYZE job_executions"))
        connection.execute(text("CHECKPOINT"))
    return jobs


def wal_bytes() -> int:
    with db.engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'")) or 0)


def cpu_of(connections: list[psycopg.Connection[Any]]) -> float:
    return sum(cpu_seconds(connection.info.backend_pid) for connection in connections)


def cpu_of_all() -> float:
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
    with db.engine.connect() as connection:
        return sum(map(cpu_seconds, connection.scalars(text(query)).all()))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
