"""Measure what a job costs beside the floor of the same work done by hand.

    python benchmarks/jobs.py [--count 300]

Runs on its own PostgreSQL (or TEST_DATABASE_URL) and prints ratios, taken in turns so that a
busy machine slows both sides alike:

- an enqueue in a session, beside the same INSERT through SQLAlchemy Core in that session;
- an enqueue on its own, inline and in the background, with the local QStash server;
- `enqueue_many` of 1,000, beside 1,000 single enqueues;
- a delivery of a no-op job over HTTP to gunicorn, beside a view that only answers 200, and beside
  one that makes the same number of bare psycopg statements in the same transactions.

Statements are counted, not assumed.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
from flask import Flask
from sqlalchemy import event, insert, text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.ports import free_port  # noqa: E402
from app.dev.postgres import Server  # noqa: E402
from app.jobs import JobExecution, enqueue, enqueue_many  # noqa: E402
from app.jobs.extension import new_publisher  # noqa: E402
from app.jobs.publish.background import BackgroundPublisher  # noqa: E402
from tests.support import qstash as qstash_support  # noqa: E402
from tests.support.qstash import claims_for, envelope, token  # noqa: E402

PAYLOAD = {"action": "none", "count": 1}
MANY = 1_000

# The app under gunicorn: the sample jobs, and the two floors as plain views.
WSGI = """
import threading
import psycopg
from flask import request
from app import create_app
from app.db import db
from tests.support.sample_jobs import bp

app = create_app({"LOG_LEVEL": "WARNING"})
app.register_blueprint(bp)
local = threading.local()

@app.post("/floor/empty")
def empty():
    return {"success": True}

CLAIM = '''UPDATE job_executions SET status = 'processing', started_at = now(), updated_at = now(),
           lease_token = %s, lease_expires_at = now() + interval '75 seconds', retry_count = 0,
           message_id = %s, published_at = coalesce(published_at, now())
           WHERE job_id = %s AND status IN ('pending', 'failed') RETURNING generation, user_id'''
COMPLETE = '''UPDATE job_executions SET status = 'completed', completed_at = clock_timestamp(),
              updated_at = clock_timestamp(), lease_token = NULL, lease_expires_at = NULL,
              attempts = attempts || %s::jsonb WHERE job_id = %s AND lease_token = %s'''

@app.post("/floor/bare")
def bare():
    if not hasattr(local, "connection"):
        url = app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
        local.connection = psycopg.connect(url)
    connection = local.connection
    body = request.get_json()
    token = "00000000-0000-4000-8000-000000000000"
    connection.execute(CLAIM, (token, "msg", body["jobId"])).fetchone()
    connection.commit()
    connection.execute(COMPLETE, ('{"number": 1, "outcome": "completed"}', body["jobId"], token))
    connection.commit()
    return {"success": True, "jobId": body["jobId"], "result": None}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=300, help="operations per measurement")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as url:
        os.environ.update(APP_ENV="test", DATABASE_URL=url, LOG_LEVEL="ERROR")
        app = create_app()
        from tests.support.sample_jobs import bp  # noqa: PLC0415 - declares its own table

        app.register_blueprint(bp)
        with app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            db.create_all()
            measure_enqueue(app, count)
            db.session.remove()
            count_delivery(app)
            measure_delivery(Path(name), url, count)


def measure_enqueue(app: Flask, count: int) -> None:
    heading("Enqueue")
    insert_row, in_session = alternate(count, core_insert, enqueue_in_session)
    report("one INSERT through SQLAlchemy Core, in a session", insert_row)
    report("enqueue in a session", in_session, insert_row, "target under 1.5")
    counted("enqueue in a session", enqueue_in_session)
    with qstash() as url:
        app.config.update(QSTASH_URL=url)
        state = replace(app.extensions["jobs"], publisher=new_publisher(app.config))
        app.extensions["jobs"] = state
        inline = timed(count, enqueue_alone)
        report("enqueue alone, inline", inline, insert_row)
        counted("enqueue alone, inline", enqueue_alone)
        background = BackgroundPublisher(app, grace=60)
        app.extensions["jobs"] = replace(state, background=background)
        report("enqueue alone, in the background", timed(count, enqueue_alone), insert_row)
        background.close()
        app.extensions["jobs"] = state
        many = timed(3, lambda: enqueue_many("noop", [PAYLOAD] * MANY, delay=3600))
        singles = statistics.median(inline) * MANY
        print(
            f"  enqueue_many of {MANY}: {statistics.median(many) * 1000:.0f} ms,"
            f" 1/{singles / statistics.median(many):.0f} of {MANY} single ones (target 1/15)"
        )
        state.publisher.close()


def count_delivery(app: Flask) -> None:
    heading("Delivery of a no-op job to gunicorn (one process)")
    app.config["BASE_URL"] = qstash_support.BASE_URL
    body = prepare(1)[0]
    client = app.test_client()
    counted("a delivery", lambda: qstash_support.deliver(client, body, "/api/jobs/noop"))


def measure_delivery(folder: Path, url: str, count: int) -> None:
    with gunicorn(folder, url) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        jobs = iter(prepare(3 * count))

        def post(path: str) -> Callable[[], None]:
            return lambda: deliver(connection, path, next(jobs))

        paths = ("/floor/empty", "/floor/bare", "/api/jobs/noop")
        empty, bare, ours = alternate(count, *map(post, paths))
    report("a view that only answers 200", empty)
    report("a view with the same bare psycopg statements", bare, empty)
    report("a delivery", ours, bare, "target under 1.5, to the bare statements")


def core_insert() -> None:
    job_id = str(uuid4())
    written = {"jobId": job_id, "type": "noop", "payload": PAYLOAD, "metadata": {"createdAt": "x"}}
    row = {"job_id": job_id, "job_type": "noop", "payload": written, "max_retries": 3}
    db.session.connection().execute(insert(JobExecution.__table__), row)  # type: ignore[arg-type]


def enqueue_in_session() -> None:
    enqueue("noop", PAYLOAD, session=db.session)


def enqueue_alone() -> None:
    enqueue("noop", PAYLOAD, delay=3600)


def prepare(count: int) -> list[bytes]:
    """Record jobs that wait to be delivered and return their envelopes."""
    bodies = [envelope(PAYLOAD, job_type="noop") for _ in range(count)]
    rows = [{"id": body["jobId"], "payload": json.dumps(body)} for body in bodies]
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload)"
            " VALUES (:id, 'noop', CAST(:payload AS jsonb))"
        ),
        rows,
    )
    db.session.commit()
    return [json.dumps(body).encode() for body in bodies]


def deliver(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    signature = token(claims_for(body, f"http://127.0.0.1:{connection.port}{path}"))
    headers = {
        "Content-Type": "application/json",
        "Upstash-Signature": signature,
        "Upstash-Message-Id": "msg_1",
    }
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def alternate(count: int, *operations: Callable[[], object]) -> list[list[float]]:
    """Time operations in turns; those in a session are rolled back, so that the table stays."""
    for operation in operations:
        for _ in range(20 if count > 20 else 1):
            operation()
    db.session.rollback()
    times: list[list[float]] = [[] for _ in operations]
    for _ in range(count - 20):
        for operation, kept in zip(operations, times, strict=True):
            kept.append(once(operation))
    db.session.rollback()
    return times


def timed(count: int, operation: Callable[[], object]) -> list[float]:
    return [once(operation) for _ in range(count)]


def once(operation: Callable[[], object]) -> float:
    start = time.perf_counter()
    operation()
    return time.perf_counter() - start


def counted(what: str, operation: Callable[[], object]) -> None:
    statements: list[str] = []
    commits: list[object] = []

    def commit(connection: object) -> None:
        commits.append(connection)

    def note(*args: Any) -> None:
        statements.append(args[2].split()[0])

    event.listen(db.engine, "before_cursor_execute", note)
    event.listen(db.engine, "commit", commit)
    operation()
    event.remove(db.engine, "before_cursor_execute", note)
    event.remove(db.engine, "commit", commit)
    db.session.rollback()
    print(f"  {what}: {' and '.join(statements)}, {len(commits)} commits")


def heading(title: str) -> None:
    print(f"\n{title}")


def report(
    what: str, times: list[float], floor: list[float] | None = None, target: str = ""
) -> None:
    p50 = statistics.median(times)
    p99 = statistics.quantiles(times, n=100)[98]
    ratio = f"{p50 / statistics.median(floor):6.2f}x" if floor else " floor "
    print(f"  {ratio}  p50 {p50 * 1000:6.2f} ms  p99 {p99 * 1000:6.2f} ms  {what}", target)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder.chmod(0o711)
    server = Server(folder / "postgres")
    server.start()
    try:
        yield server.create_database("benchmark")
    finally:
        server.destroy()


@contextmanager
def qstash() -> Iterator[str]:
    """Run the local QStash server in a separate process, as in development."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, url.rpartition(":")[2]], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        await_port(int(url.rpartition(":")[2]))
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def gunicorn(folder: Path, url: str) -> Iterator[int]:
    port = free_port()
    (folder / "bench_wsgi.py").write_text(WSGI)
    env = {
        **os.environ,
        "DATABASE_URL": url,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "PYTHONPATH": f"{ROOT}:{folder}",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "bench_wsgi:app"]
    process = subprocess.Popen(command, cwd=ROOT, env=env)  # noqa: S603 - our own command
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def await_port(port: int) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("gunicorn did not start")


if __name__ == "__main__":
    main()
