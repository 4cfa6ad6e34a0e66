"""Measure what a report costs beside one sequential scan of the tables that it reads.

    python benchmarks/reports.py [--rows 200000]

Runs on its own PostgreSQL, filled with this many users and as many job executions, most of them
in the period and the one before it. Prints, for `monthly-analytics`:

- its SQL beside one sequential scan of both tables, taken in turns (target under 3);
- the CPU seconds of each renderer (target for the PDF: under 3).
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import flask_migrate
from sqlalchemy import text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.families.reports import catalog  # noqa: E402
from app.families.reports.period import Period  # noqa: E402
from app.families.reports.renderers.formats import FORMATS  # noqa: E402

OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31))
ROUNDS = 5

SCANS = (
    "SELECT count(*), max(created_at) FROM users",
    "SELECT count(*), max(created_at) FROM job_executions",
)
INDEXES = r"SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'idx\_%'"
FILL = (
    """INSERT INTO users (email, name, created_at)
       SELECT 'user' || n || '@example.com', 'User number ' || n,
              timestamptz '2026-08-01' + random() * interval '100 days'
         FROM generate_series(1, :rows) n""",
    """INSERT INTO organizations (name, plan_name, subscription_status, monthly_amount, currency,
                                   subscribed_at, unsubscribed_at)
       SELECT 'Organization ' || n, (ARRAY['Starter', 'Team', 'Business'])[1 + n % 3], 'active',
              (ARRAY[1900, 4900, 19900])[1 + n % 3], (ARRAY['usd', 'eur'])[1 + n % 2], began,
              CASE WHEN n % 15 = 0 THEN began + interval '40 days' END
         FROM (SELECT n, timestamptz '2026-01-01' + random() * interval '300 days' AS began
                 FROM generate_series(1, :rows / 50) n) AS numbered""",
    """INSERT INTO activity_logs (organization_id, action, created_at)
       SELECT 1 + n % (:rows / 50),
              (ARRAY['project.created', 'payment.failed'])[1 + (n % 50 = 0)::int],
              timestamptz '2026-08-01' + random() * interval '100 days'
         FROM generate_series(1, :rows / 10) n""",
    """INSERT INTO job_executions (job_id, job_type, status, payload, result, organization_id,
                                    created_at, started_at, completed_at)
       SELECT gen_random_uuid(), (ARRAY['send-email', 'process-webhook'])[1 + n % 2], 'completed',
              jsonb_build_object('type', 'send-email', 'payload', repeat('x', 200)), '{}',
              1 + n % (:rows / 50), at, at + interval '1 second', at + interval '2 seconds'
         FROM (SELECT n, timestamptz '2026-08-01' + random() * interval '100 days' AS at
                 FROM generate_series(1, :rows) n) AS numbered""",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000, help="users, and job executions")
    rows = parser.parse_args().rows
    with temporary_server() as server:
        os.environ.update(APP_ENV="test", DATABASE_URL=server.url(), LOG_LEVEL="ERROR")
        app = create_app()
        with app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            fill(rows)
            measure()
            db.session.remove()
            db.engine.dispose()


def fill(rows: int) -> None:
    # Rows go in several times faster without the indexes, which come back after.
    indexes = db.session.execute(text(INDEXES)).all()
    definitions = [index.indexdef for index in indexes]
    for index in indexes:
        db.session.execute(text(f"DROP INDEX {index.indexname}"))
    for statement in FILL:
        db.session.execute(text(statement), {"rows": rows})
    for definition in definitions:
        db.session.execute(text(definition))
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{rows:,} users, {rows:,} job executions")


def measure() -> None:
    kind = "monthly-analytics"
    floors, ours = [], []
    for _ in range(ROUNDS):
        floors.append(timed(scan))
        ours.append(timed(lambda: catalog.compute(kind, OCTOBER)))
    floor, cost = statistics.median(floors), statistics.median(ours)
    print(f"one sequential scan of both tables: {floor * 1000:.0f} ms")
    print(f"the SQL of {kind}: {cost * 1000:.0f} ms, {cost / floor:.2f} scans (target under 3)")
    report = catalog.compute(kind, OCTOBER)
    for name, format_ in FORMATS.items():
        before = time.process_time()
        size = len(format_.render(report))
        spent = time.process_time() - before
        print(f"rendering {name}: {spent:.2f} s of CPU, {size / 1024:.0f} kB")


def scan() -> None:
    """Read both tables from end to end, whatever indexes there are."""
    db.session.execute(text("SET LOCAL enable_indexscan = off"))
    db.session.execute(text("SET LOCAL enable_indexonlyscan = off"))
    for statement in SCANS:
        db.session.execute(text(statement))
    db.session.rollback()


def timed(operation: Callable[[], object]) -> float:
    start = time.perf_counter()
    operation()
    db.session.rollback()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
