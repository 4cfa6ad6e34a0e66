"""Measure how fast Stripe gets its answer, beside a Flask view that does one INSERT.

    python benchmarks/webhooks.py [--count 300]

Both answer in the same gunicorn process of the same app, on its own PostgreSQL, in blocks that take
turns, with a pause between them: what the endpoint does in the background must slow down itself,
not the floor. The endpoint checks the signature with
Stripe's SDK, stores the event and records its job; publishing is JOBS_PUBLISH=background, to the
local QStash server, and then inline. The floor is one INSERT of the same event through
`db.session`, and its commit.
"""

import argparse
import http.client
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import flask_migrate
from stripe import WebhookSignature

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.config import DEV_WEBHOOKS  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.ports import free_port  # noqa: E402
from benchmarks.support.build import local_qstash  # noqa: E402
from benchmarks.support.processes import await_port, running  # noqa: E402

#: Turns, and the seconds before each in which the publisher catches up.
BLOCKS, PAUSE = 5, 1.5
PADDING = {f"field_{number}": "x" * 60 for number in range(40)}

# The floor, in the app itself. No rate limit: the benchmark comes from one address.
WSGI = """
from flask import request
from sqlalchemy import insert
from app import create_app
from app.db import db
from app.families.webhooks.models import WebhookEvent

app = create_app({"WEBHOOK_RATE_LIMIT": "1000000/second"})
INSERT = insert(WebhookEvent.__table__)

@app.post("/floor")
def floor():
    body = request.get_data()
    event = request.get_json()
    db.session.execute(INSERT, {"source": "floor", "event": event["type"], "verified": False,
                                "delivery_id": event["id"], "headers": {}, "body": body})
    db.session.commit()
    return {"received": True}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=300, help="requests per measurement")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name, temporary_server() as server:
        os.environ.update(APP_ENV="test", DATABASE_URL=server.url(), LOG_LEVEL="ERROR")
        with create_app().app_context(), local_qstash() as qstash_url:
            flask_migrate.upgrade(str(ROOT / "migrations"))
            os.environ["QSTASH_URL"] = qstash_url
            for publish in ("background", "inline"):
                print(f"\nAn event of Stripe's, JOBS_PUBLISH={publish} (one process)")
                measure(Path(name), publish, count)


def measure(folder: Path, publish: str, count: int) -> None:
    numbers = itertools.count()
    with gunicorn(folder, publish) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def post(path: str) -> Callable[[], None]:
            return lambda: send(connection, path, f"evt_{publish}_{next(numbers)}")

        floor, ours = in_blocks(count, post("/floor"), post("/api/stripe/webhook"))
    report("a view that does one INSERT", floor, floor)
    report("the endpoint", ours, floor)
    if publish == "background":
        print("  target: under 3x")


def report(what: str, times: list[float], floor: list[float]) -> None:
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    ratio = p50 / statistics.median(floor)
    print(f"  {ratio:6.2f}x  p50 {p50 * 1000:6.2f} ms  p99 {p99 * 1000:6.2f} ms  {what}")


def in_blocks(count: int, *operations: Callable[[], None]) -> list[list[float]]:
    for operation in operations:
        timed(10, operation)
    times: list[list[float]] = [[] for _ in operations]
    for _ in range(BLOCKS):
        for operation, kept in zip(operations, times, strict=True):
            time.sleep(PAUSE)
            kept.extend(timed(count // BLOCKS, operation))
    return times


def timed(count: int, operation: Callable[[], None]) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        operation()
        times.append(time.perf_counter() - start)
    return times


def send(connection: http.client.HTTPConnection, path: str, event_id: str) -> None:
    event = {
        "id": event_id,
        "object": "event",
        "type": "customer.created",
        "created": 1795435200,
        "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "cus_1", "object": "customer", **PADDING}},
    }
    body = json.dumps(event)
    secret = DEV_WEBHOOKS["STRIPE_WEBHOOK_SECRET"]
    signature = WebhookSignature.generate_signature_header(body, secret)
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


@contextmanager
def gunicorn(folder: Path, publish: str) -> Iterator[int]:
    """Run the app, to whose deliveries nobody listens: what is measured is the answer."""
    port = free_port()
    (folder / "webhooks_wsgi.py").write_text(WSGI)
    env = {
        **os.environ,
        "JOBS_PUBLISH": publish,
        "BASE_URL": "http://127.0.0.1:9",
        "PORT": str(port),
        "PYTHONPATH": f"{ROOT}:{folder}",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "webhooks_wsgi:app"]
    log = folder / "gunicorn.log"
    with running(command, ROOT, env, log) as process:
        await_port(port, process, log)
        yield port


if __name__ == "__main__":
    main()
