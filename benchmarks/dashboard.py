"""Measure the dashboard over a table of very many jobs.

    python benchmarks/dashboard.py [--rows 1000000] [--per-hour 60000] [--runs 101] [--reuse]

A database (PostgreSQL's own, or TEST_DATABASE_URL) gets `--rows` jobs. Then each page is asked for.
Printed are the server's time, median and 99th percentile, the first answer of a process apart; how
long PostgreSQL's connections were at work on one; and the CPU of both, which does not depend on
what else the machine does. Then fifty people look at the overview, each asking as often as its page
does, and it is said what that costs beside one.
10,000,000 rows take about 13 GB of disk; `--reuse` measures what an earlier run left on
TEST_DATABASE_URL.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
from flask import Flask
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import Engine

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "support")]

from given_postgres import server  # noqa: E402 - the path comes first
from many_jobs import FEW, fill  # noqa: E402
from processes import own_cpu_seconds  # noqa: E402

from app import create_app  # noqa: E402
from app.db import db  # noqa: E402
from tests.support.qstash import BASE_URL  # noqa: E402

PREFIX = "/admin/jobs"
#: Milliseconds that a page may take, at the median and at the 99th percentile.
MEDIAN_MS, P99_MS = 100, 250
#: Milliseconds of PostgreSQL that one refresh of the overview may take.
REFRESH_MS = 20
#: Seconds after which the pages are measured, though not all is counted that is counted once.
SETTLES = 1_200.0
#: Seconds between two refreshes of an overview.
EVERY = 5.0


BACKENDS = """
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend'
       AND pid <> pg_backend_pid()
"""


class Database:
    """What PostgreSQL spent on this process's connections.

    Attributes:
        seconds: How long statements took, whatever else the machine did.
    """

    def __init__(self, url: str) -> None:
        self.seconds = 0.0
        self._admin = psycopg.connect(url, autocommit=True)
        event.listen(Engine, "before_cursor_execute", self._begin)
        event.listen(Engine, "after_cursor_execute", self._end)
        event.listen(Engine, "handle_error", self._failed)

    def cpu(self) -> float:
        """Return the seconds of CPU that its backends have used until now, to a hundredth."""
        pids = self._admin.execute(BACKENDS).fetchall()
        return sum(own_cpu_seconds(pid) for (pid,) in pids)

    def age(self, seconds: float) -> None:
        """Have what is counted for all processes be older."""
        older = "UPDATE job_figures SET at = at - make_interval(secs => %s)"
        self._admin.execute(older, [seconds])

    def _begin(self, connection: Any, *_: Any) -> None:
        connection.info["measured_since"] = time.perf_counter()

    def _end(self, connection: Any, *_: Any) -> None:
        self.seconds += time.perf_counter() - connection.info["measured_since"]

    def _failed(self, context: Any) -> None:
        if context.connection is not None and "measured_since" in context.connection.info:
            self._end(context.connection)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="jobs in the table")
    parser.add_argument("--per-hour", type=int, default=60_000, help="jobs recorded in an hour")
    parser.add_argument("--runs", type=int, default=101, help="answers of each page")
    parser.add_argument("--reuse", action="store_true", help="the database is there")
    given = parser.parse_args()
    rows = max(FEW, given.rows // FEW * FEW)
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url:
        os.environ.update(APP_ENV="test", DATABASE_URL=url, LOG_LEVEL="ERROR", BASE_URL=BASE_URL)
        app = prepare(url, rows, None if given.reuse else given.per_hour)
        with app.app_context():
            job = db.session.execute(text("SELECT * FROM job_executions WHERE id = 5000")).one()
            db.session.remove()
        database = Database(shown(database_url(url, rows)))
        gc.collect()
        gc.freeze()  # as our gunicorn does with what is loaded
        pages = measure(app, database, addresses(job), given.runs)
        report(rows, pages)
        overviews(app, database)


def prepare(url: str, rows: int, per_hour: int | None) -> Flask:
    """Create a database with so many jobs, or take that of an earlier run; and an app on it."""
    plain, mine = make_url(url).set(drivername="postgresql"), database_url(url, rows)
    app = create_app({"SQLALCHEMY_DATABASE_URI": shown(mine.set(drivername="postgresql+psycopg"))})
    app.config["JOBS_DASHBOARD"] = "local"
    app.config["JOBS_SWEEP_EVERY"] = 0.0
    if per_hour is not None:
        with psycopg.connect(shown(plain), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS dashboard_{rows}".encode())
            connection.execute(f"CREATE DATABASE dashboard_{rows}".encode())
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        db.session.remove()
    if per_hour is not None:
        fill(shown(mine), rows, per_hour)
    return app


def database_url(url: str, rows: int) -> Any:
    return make_url(url).set(drivername="postgresql", database=f"dashboard_{rows}")


def addresses(job: Any) -> dict[str, str]:
    """Return what is asked for, by what it is called here."""
    moment = f"{job.created_at:%Y-%m-%dT%H:%M}"
    return {
        "overview": "",
        "overview, day": "?period=day",
        "overview, week": "?period=week",
        "jobs": "/jobs",
        "jobs, completed": "/jobs?state=completed",
        "jobs, dead": "/jobs?state=dead",
        "jobs, a type": "/jobs?type=generate-report",
        "jobs, a type's dead": "/jobs?type=generate-report&state=dead",
        "jobs, no such type": "/jobs?type=no-such-type",
        "jobs, a user with many": "/jobs?user=1",
        "jobs, a user with few": "/jobs?user=99999",
        "jobs, an organization's dead": "/jobs?organization=1&state=dead",
        "jobs, older than a day": "/jobs?older=1d",
        "jobs, from a moment on": f"/jobs?from={moment}&to={moment}",
        "jobs, due": "/jobs?due=1h",
        "jobs, an error's text": "/jobs?error=rate",
        "jobs, a rare error": "/jobs?error=4711",
        "jobs, a queue": "/jobs?queue=mail",
        "jobs, a key": "/jobs?key=order-1",
        "jobs, a payload field": "/jobs?payload=template%3Dwelcome",
        "jobs, a rare payload field": "/jobs?payload=template%3Dother",
        "jobs, a schedule": "/jobs?schedule=code.cleanup-old-data",
        "jobs, a tag": "/jobs?tag=billing",
        "jobs, a rare tag": "/jobs?tag=rare",
        "jobs, a tag's dead": "/jobs?tag=billing&state=dead",
        "jobs, a rare tag's dead": "/jobs?tag=rare&state=dead",
        "jobs, no such type's dead": "/jobs?type=no-such-type&state=dead",
        "jobs, a user's of a type": "/jobs?user=1&type=send-email",
        "jobs, a type's old and dead": "/jobs?type=export-data&state=dead&older=3d",
        "jobs, a type's recent ones": "/jobs?type=export-data&state=completed&newer=1h",
        "jobs, no such error of a type": "/jobs?type=send-email&error=nothing",
        "jobs, no such queue": "/jobs?queue=none",
        "jobs, late": "/jobs?late=10m",
        "jobs, a message": f"/jobs?message={job.message_id}",
        "find": f"/find?id={str(job.job_id)[:12]}",
        "suggestions": "/jobs/suggest?q=queue:",
        "a job": f"/job/{job.job_id}",
        "errors": "/errors",
        "queues": "/queues",
        "batches": "/batches",
        "usage, day": "/usage?period=day",
        "usage, week": "/usage",
        "usage, month": "/usage?period=month",
        "audit": "/audit",
        "audit, of nobody": "/audit?actor=nobody",
        "operations": "/operations",
        "new job": "/new?type=send-email",
    }


class Page:
    """What was measured of one: seconds, of the first answer and of those after it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.first = 0.0
        self.times: list[float] = []
        self.database: list[float] = []
        self.cpu = 0.0


def measure(app: Flask, database: Database, asked: dict[str, str], runs: int) -> list[Page]:
    client, pages = app.test_client(), []
    client.get(f"{PREFIX}/doctor")  # templates are compiled by the first of all
    for name, path in asked.items():
        page = Page(name)
        page.first, _ = ask(client, database, path)
        pages.append(page)
    settle(app, client)
    for page in pages:
        before, own = database.cpu(), time.process_time()
        for _ in range(runs):
            took, of_database = ask(client, database, asked[page.name])
            page.times.append(took)
            page.database.append(of_database)
        page.cpu = (database.cpu() - before + time.process_time() - own) / runs
    return pages


def settle(app: Flask, client: Any) -> None:
    """Look at what is counted beside the pages until all of it is, and say how long that took."""
    began = time.perf_counter()
    paths = [f"?period={one}" for one in ("hour", "day", "week")]
    paths += [f"/usage?period={one}" for one in ("day", "week", "month")]
    figures, waiting = app.extensions["jobs.dashboard.cached"], ["all"]
    while waiting and time.perf_counter() - began < SETTLES:
        for path in paths:
            client.get(PREFIX + path)
        time.sleep(0.5)
        waiting = [
            name
            for name, one in figures.items()
            if one.lock.locked() or not getattr(one.value, "is_complete", True)
        ]
    took = time.perf_counter() - began
    left = f"; not all of {', '.join(waiting)}" if waiting else ""
    print(f"counted beside the pages while they are looked at: {took:.0f} s{left}", flush=True)


def age(app: Flask, database: Database) -> None:
    """Have the figures that are kept be as old as they are at a refresh of one open overview."""
    for figure in app.extensions.get("jobs.dashboard.cached", {}).values():
        with figure.lock:
            figure.at -= EVERY
    database.age(EVERY)


def ask(client: Any, database: Database, path: str) -> tuple[float, float]:
    """Ask for a page, and return the seconds of the server's and of the database's."""
    database.seconds, began = 0.0, time.perf_counter()
    answer = client.get(PREFIX + path)
    took = time.perf_counter() - began
    assert answer.status_code < 400, f"{path}: {answer.status_code} {answer.text[:2000]}"
    return took, database.seconds


def report(rows: int, pages: list[Page]) -> None:
    head = f"{'':30}  first  median    p99  database    CPU"
    print(f"\n{rows:,} jobs, {len(pages[0].times)} answers, ms\n{head}")
    missed = 0
    for page in pages:
        median, p99 = statistics.median(page.times), statistics.quantiles(page.times, n=100)[98]
        is_missed = median * 1000 > MEDIAN_MS or p99 * 1000 > P99_MS
        missed += is_missed
        of_database = statistics.mean(page.database) * 1000
        print(
            f"{page.name:30} {page.first * 1000:6.0f}  {median * 1000:6.1f} {p99 * 1000:6.1f}"
            f"  {of_database:8.1f} {page.cpu * 1000:6.1f}{'  missed' if is_missed else ''}"
        )
    print(f"Targets: {MEDIAN_MS} ms, p99 {P99_MS} ms: {len(pages) - missed} of {len(pages)} met")


def overviews(app: Flask, database: Database) -> None:
    """Say what fifty overviews cost, whose refreshes are spread over the time between two."""
    client, turns = app.test_client(), 24
    for readers in (1, 50):
        total, before = 0.0, database.cpu()
        for _ in range(turns):
            age(app, database)
            for _ in range(readers):
                total += ask(client, database, "")[1]
        cpu = (database.cpu() - before) / turns * 1000
        each = total / turns * 1000
        print(
            f"{readers:3} overviews: in the {EVERY:g} s between two refreshes, PostgreSQL is at"
            f" work for {each:.1f} ms, with {cpu:.1f} ms of CPU (target: {REFRESH_MS} ms)"
        )


def shown(url: Any) -> str:
    return str(url.render_as_string(hide_password=False))


if __name__ == "__main__":
    main()
