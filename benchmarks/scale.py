"""Measure a table of very many jobs beside one of 100,000: what a job costs, what people ask.

    python benchmarks/scale.py [--rows 200000] [--payload 20] [--reuse]

Two databases on one PostgreSQL (its own, or TEST_DATABASE_URL) get jobs at the same rate, so that
the larger has the longer history: `--rows` and 100,000. Then, in turns on both:

- jobs are enqueued (with a local QStash server), delivered and completed: PostgreSQL's CPU and its
  write-ahead log by step, and the share of updates that were heap-only;
- a page of the list by each filter, `show`, the statistics and the health of the last hour, a
  scrape of the metrics and a sweep are timed.

Printed are medians and their ratios, and EXPLAIN of what scans the table. 10,000,000 rows take
about 13 GB of disk; `--reuse` measures what an earlier run left on TEST_DATABASE_URL. What their
deletion costs, `cleanup.py` measures.
"""

import argparse
import os
import socket
import statistics
import subprocess
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
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "support")]

from given_postgres import server  # noqa: E402 - the path comes first
from many_jobs import FEW, JOBS_PER_HOUR, fill  # noqa: E402
from steps import STEPS, Meter  # noqa: E402

from app import create_app  # noqa: E402
from app.db import db  # noqa: E402
from app.jobs.cli.show import render  # noqa: E402
from app.jobs.operate import health  # noqa: E402
from app.jobs.recover.sweep import sweep  # noqa: E402
from app.jobs.table import audit  # noqa: E402
from app.jobs.table.filters import Filter  # noqa: E402
from app.jobs.table.job_rows import get_job_execution_by_job_id  # noqa: E402
from app.jobs.table.models import Status  # noqa: E402
from app.jobs.table.pages import list_jobs  # noqa: E402
from app.jobs.table.stats import stats  # noqa: E402
from app.ports import free_port  # noqa: E402
from tests.support.qstash import BASE_URL  # noqa: E402

RUNS = 21
JOBS = 300
TARGET_MS, TARGET_RATIO, STEP_RATIO = 50, 2.0, 1.1
TOKEN = "for /metrics"  # noqa: S105 - opens nothing but this

Call = Callable[[], object]


@dataclass
class Case:
    """One table of jobs, and what was asked of it."""

    app: Flask
    rows: int
    calls: dict[str, Call]
    times: dict[str, list[float]]
    meter: Meter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000, help="jobs in the larger table")
    parser.add_argument("--payload", type=int, default=20, help="characters in the payload")
    parser.add_argument("--reuse", action="store_true", help="the databases are there")
    given = parser.parse_args()
    rows = max(2 * FEW, given.rows // FEW * FEW)
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url, qstash() as qstash_url:
        os.environ.update(APP_ENV="test", DATABASE_URL=url, LOG_LEVEL="ERROR")
        os.environ.update(JOBS_METRICS_TOKEN=TOKEN, QSTASH_URL=qstash_url, BASE_URL=BASE_URL)
        cases = [prepare(url, count, reuse=given.reuse) for count in (FEW, rows)]
        for case in cases:
            with case.app.app_context():
                explain(case)
        updates = [case.meter.updates() for case in cases]
        for _ in range(JOBS):
            for case in cases:
                with case.app.app_context():
                    case.meter.run("x" * given.payload)
        report_steps(cases, updates)
        for _ in range(RUNS):
            for case in cases:
                measure(case)
        report(*cases)


def prepare(url: str, rows: int, *, reuse: bool) -> Case:
    """Create a database with so many jobs."""
    name = f"scale_{rows}"
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
        meter = Meter(app, shown(mine))
        return Case(app, rows, calls(app, rows), {}, meter)


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
        "sweep": sweep,
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


def report_steps(cases: list[Case], before: list[tuple[int, int]]) -> None:
    time.sleep(1.5)  # until the connections have told their statistics
    print(f"\nPostgreSQL for each of {JOBS} jobs, medians; in turns")
    print(f"{'':30}{cases[0].rows:>12,} {cases[1].rows:>12,}    ratio")
    for step in STEPS:
        few, many = (case.meter.median(step) for case in cases)
        mark = "  missed" if many.cpu / few.cpu > STEP_RATIO else ""
        print(
            f"  {f'{step}, ms of CPU':28}{few.cpu:12.3f} {many.cpu:12.3f}"
            f" {many.cpu / few.cpu:7.2f}x{mark}"
        )
        print(f"  {f'{step}, bytes of WAL':28}{few.wal:12.0f} {many.wal:12.0f}")
    for case, (updates, hot) in zip(cases, before, strict=True):
        now, hot_now = case.meter.updates()
        share = (hot_now - hot) / (now - updates)
        print(f"  {case.rows:,} rows: {now - updates} updates, {share:.0%} of them heap-only")


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
def qstash() -> Iterator[str]:
    """Run the local QStash server in a separate process."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        try:
            while not is_open(port):
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
