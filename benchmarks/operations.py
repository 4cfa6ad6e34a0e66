"""Measure what people and probes ask of a table of many jobs, beside the same of few.

    python benchmarks/operations.py [--rows 500000] [--reuse]

Two databases on one PostgreSQL (its own, or TEST_DATABASE_URL) get jobs at the same rate, so that
the larger has the longer history: `--rows` and 100,000. Then a page of the list by each filter,
`show`, the statistics and the health of the last hour and a scrape of the metrics are timed in
turns on both. Printed are the medians and their ratio, and EXPLAIN of what scans the table.

10,000,000 rows take about 12 GB of disk and, on two slow cores, about a quarter of an hour;
`--reuse` measures what an earlier run left on TEST_DATABASE_URL.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, make_url, text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.postgres import Server  # noqa: E402
from app.jobs.cli.show import render  # noqa: E402
from app.jobs.operate import health  # noqa: E402
from app.jobs.table import audit  # noqa: E402
from app.jobs.table.filters import Filter  # noqa: E402
from app.jobs.table.job_rows import get_job_execution_by_job_id  # noqa: E402
from app.jobs.table.models import Status  # noqa: E402
from app.jobs.table.pages import list_jobs  # noqa: E402
from app.jobs.table.stats import stats  # noqa: E402

FEW = 100_000
CHUNK = 250_000
JOBS_PER_HOUR = 5_000
RUNS = 21
TARGET_MS, TARGET_RATIO = 50, 2.0
TOKEN = "for /metrics"  # noqa: S105 - opens nothing but this

# Most jobs are completed, some failed for good; only among the newest are such that wait or run.
# Few users and organizations own most jobs. Errors repeat, but for one in a million.
FILL = """
    INSERT INTO job_executions (
        job_id, job_type, status, payload, result, error, retry_count, user_id, organization_id,
        created_at, published_at, started_at, completed_at, updated_at, dead_at, cancelled_at,
        message_id, schedule_id, max_retries, options, lease_token, lease_expires_at, attempts)
    SELECT job_id, job_type, status,
           format('{"jobId": "%%s", "type": "%%s", "payload": {"to": "user%%s@example.com",
                    "template": "welcome", "data": {"recipientName": "User %%s"}},
                    "metadata": {"userId": %%s, "createdAt": "%%s"}}',
                  job_id, job_type, whose, whose, whose, created_at)::jsonb,
           CASE status WHEN 'completed' THEN '{"id": "re_123456789"}'::jsonb END,
           CASE WHEN status <> 'failed' THEN NULL
                WHEN i %% 1000000 = 4711 THEN 'OperationalError: deadlock detected, process 4711'
                ELSE (ARRAY['ResendError: rate limit exceeded', 'JobTimeout: took over 30 s',
                            'ConnectionError: connection reset by peer',
                            'ValueError: no such template'])[1 + i %% 4] END,
           CASE status WHEN 'failed' THEN 3 ELSE 0 END,
           CASE WHEN i %% 3 > 0 THEN whose END, CASE WHEN i %% 3 > 0 THEN 1 + whose / 20 END,
           created_at, created_at, started, ended, coalesce(ended, started, created_at),
           CASE WHEN status = 'failed' AND NOT recent THEN ended END,
           CASE WHEN status = 'cancelled' THEN ended END,
           'msg_' || md5(i::text) || md5((-i)::text),
           CASE WHEN job_type = 'cleanup-old-data' THEN 'code.cleanup-old-data' END,
           3, '{"retries": 3, "timeout": 30}'::jsonb,
           CASE status WHEN 'processing' THEN job_id END,
           CASE status WHEN 'processing' THEN now() + interval '1 minute' END,
           CASE WHEN started IS NULL THEN '[]'::jsonb
                ELSE format('[{"number": 1, "outcome": "%%s", "started_at": "%%s",
                               "duration_ms": 120, "answer": 200, "host": "web-1"}]',
                            status, started)::jsonb END
      FROM (SELECT *, CASE WHEN status <> 'pending' THEN created_at + interval '1 s' * luck END
                      AS started,
                      CASE WHEN status NOT IN ('pending', 'processing')
                           THEN created_at + interval '1 s' * (luck + 5 * luck * luck) END AS ended
              FROM (SELECT *, CASE WHEN recent AND luck < 0.2 THEN 'pending'
                                   WHEN recent AND luck < 0.3 THEN 'processing'
                                   WHEN luck < 0.94 THEN 'completed'
                                   WHEN luck < 0.99 THEN 'failed' ELSE 'cancelled' END AS status
                      FROM (SELECT i, gen_random_uuid() AS job_id, random() AS luck,
                                   1 + floor(power(random(), 3) * 100000)::bigint AS whose,
                                   (ARRAY['send-email', 'send-email', 'send-email',
                                          'process-webhook', 'process-stripe-webhook',
                                          'export-data', 'generate-report', 'cleanup-old-data'])
                                       [1 + floor(random() * 8)::int] AS job_type,
                                   %(total)s - i < 100 AS recent,
                                   now() - make_interval(secs => (%(total)s - i) * %(gap)s)
                                   AS created_at
                              FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
                      ) AS jobs) AS states) AS times
"""
AUDIT = """
    INSERT INTO job_audit (actor, action, filter, job_count, job_ids)
    SELECT 'ann', 'retry', '{}', 1, jsonb_build_array(job_id)
      FROM job_executions WHERE id % 5000 = 0
"""

Call = Callable[[], object]


@dataclass
class Case:
    """One table of jobs, and what was asked of it."""

    app: Flask
    rows: int
    calls: dict[str, Call]
    times: dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=500_000, help="jobs in the larger table")
    parser.add_argument("--reuse", action="store_true", help="the databases are there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url:
        os.environ.update(
            APP_ENV="test", DATABASE_URL=url, LOG_LEVEL="ERROR", JOBS_METRICS_TOKEN=TOKEN
        )
        cases = [prepare(url, count, reuse=given.reuse) for count in (FEW, given.rows)]
        for case in cases:
            with case.app.app_context():
                explain(case)
        for _ in range(RUNS):
            for case in cases:
                measure(case)
        report(*cases)


def prepare(url: str, rows: int, *, reuse: bool) -> Case:
    """Create a database with so many jobs."""
    name = f"operations_{rows}"
    plain = make_url(url).set(drivername="postgresql")
    mine = plain.set(database=name)
    app = create_app({"SQLALCHEMY_DATABASE_URI": shown(mine.set(drivername="postgresql+psycopg"))})
    with app.app_context():
        if not reuse:
            with psycopg.connect(shown(plain), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
                connection.execute(f"CREATE DATABASE {name}".encode())
            flask_migrate.upgrade(str(ROOT / "migrations"))
            db.session.remove()
            fill(shown(mine), rows)
        return Case(app, rows, calls(app, rows), {})


def fill(url: str, rows: int) -> None:
    """Insert the jobs without indexes, then build these as the migrations left them."""
    start = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        indexes = connection.execute(
            """SELECT indexname, indexdef FROM pg_indexes JOIN pg_class ON relname = indexname
                WHERE tablename = 'job_executions'
                  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = pg_class.oid)"""
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        unique = "ALTER TABLE job_executions {} CONSTRAINT uq_job_executions_job_id {}"
        connection.execute(unique.format("DROP", "").encode())
        for first in range(1, rows + 1, CHUNK):
            last = min(first + CHUNK - 1, rows)
            given = {"first": first, "last": last, "total": rows, "gap": 3600 / JOBS_PER_HOUR}
            connection.execute(FILL.encode(), given)
        filled = time.monotonic()
        connection.execute(unique.format("ADD", "UNIQUE (job_id)").encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute(AUDIT.encode())
        connection.execute("VACUUM ANALYZE")
        size = connection.execute(
            "SELECT pg_size_pretty(pg_table_size('job_executions')) || ' and indexes of '"
            " || pg_size_pretty(pg_indexes_size('job_executions'))"
        ).fetchone()
    print(
        f"{rows:,} jobs: {size and size[0]}, filled in {filled - start:.0f} s,"
        f" indexed in {time.monotonic() - filled:.0f} s",
        flush=True,
    )


def calls(app: Flask, rows: int) -> dict[str, Call]:
    """Return what is measured, by name."""
    middle = text("SELECT * FROM job_executions WHERE id = :id")
    job = db.session.execute(middle, {"id": rows // 2 // 5000 * 5000}).one()
    deep = list_jobs(Filter(older_than=rows / JOBS_PER_HOUR * 3600 / 2)).after
    span = rows / JOBS_PER_HOUR * 3600
    db.session.remove()
    client = app.test_client()
    scraped = {"metrics scrape": lambda: scrape(client)} if serves_metrics(app) else {}
    filters = {
        "no filter": Filter(),
        "--status completed": Filter(status=Status.COMPLETED),
        "--status pending": Filter(status=Status.PENDING),
        "--dead": Filter(dead=True),
        "--retrying": Filter(dead=False),
        "--type": Filter(job_type="generate-report"),
        "--type, none": Filter(job_type="no-such-type"),
        "--user-id, many": Filter(user_id=1),
        "--user-id, few": Filter(user_id=99_999),
        "--organization-id": Filter(organization_id=1),
        "--older-than": Filter(older_than=span / 2),
        "--newer-than": Filter(newer_than=3600),
        "--error, common": Filter(error="rate limit"),
        "--error, absent": Filter(error="no job has this"),
        "--message-id": Filter(message_id=job.message_id),
        "--schedule": Filter(schedule_id="code.cleanup-old-data"),
    }
    listed = {f"list {name}": lambda f=wanted: list_jobs(f) for name, wanted in filters.items()}
    return listed | {
        "list --after, in the middle": lambda: list_jobs(Filter(), after=deep),
        "show": lambda: show(str(job.job_id)),
        "stats --since 1h": lambda: stats(since=3600),
        "health": health.check,
        **scraped,
    }


def serves_metrics(app: Flask) -> bool:
    return any(rule.rule == "/metrics" for rule in app.url_map.iter_rules())


def scrape(client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/metrics", headers=headers).status_code == 200


def show(job_id: str) -> str:
    row = get_job_execution_by_job_id(job_id)
    assert row
    return render(row, audit.entries_of(job_id))


def measure(case: Case) -> None:
    with case.app.app_context():
        for name, call in case.calls.items():
            start = time.perf_counter()
            call()
            case.times.setdefault(name, []).append(time.perf_counter() - start)
            db.session.remove()


def explain(case: Case) -> None:
    """Run each call once, and print the plans that read the whole table."""
    for name, call in case.calls.items():
        found: list[tuple[str, Any]] = []

        def note(*args: Any, found: list[tuple[str, Any]] = found) -> None:
            found.append((args[2], args[3]))

        event.listen(db.engine, "before_cursor_execute", note)
        call()
        event.remove(db.engine, "before_cursor_execute", note)
        db.session.rollback()
        for statement, given in found:
            if "job_" not in statement:
                continue
            connection = db.session.connection()
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars().all()
            if any("Seq Scan on job_executions" in row for row in rows):
                print(f"\n{name}, {case.rows:,} jobs, scans the table:", *rows, sep="\n  ")
        db.session.remove()


def report(few: Case, many: Case) -> None:
    head = f"{few.rows:>12,} {many.rows:>12,}    ratio"
    print(f"\nMedian of {RUNS}, ms\n{'':30}{head}")
    missed = 0
    for name in many.calls:
        small, large = (statistics.median(case.times[name]) * 1000 for case in (few, many))
        bad = large > TARGET_MS or large / small > TARGET_RATIO
        missed += bad
        mark = "  missed" if bad else ""
        print(f"  {name:28}{small:12.1f} {large:12.1f} {large / small:7.2f}x{mark}")
    print(
        f"Targets: under {TARGET_MS} ms and {TARGET_RATIO:g}x:"
        f" {len(many.calls) - missed} of {len(many.calls)} met"
    )


def shown(url: Any) -> str:
    return str(url.render_as_string(hide_password=False))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder.chmod(0o711)
    own = Server(folder / "postgres")
    own.start()
    try:
        yield own.create_database("benchmark")
    finally:
        own.destroy()


if __name__ == "__main__":
    main()
