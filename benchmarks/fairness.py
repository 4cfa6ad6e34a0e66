"""Measure how long one organization's job waits while another's thousands wait, too.

    python benchmarks/fairness.py [--jobs 10000] [--samples 30] [--takes 0.2] [--processes 3]

Real processes: PostgreSQL, the local QStash server, gunicorn. A job waits from its record to the
start of its handler, by the database's clock. It is measured three times:

- idle: nothing else happens;
- with limits: another organization has just enqueued its jobs, whose type has
  `per="organization", parallelism=5`;
- without: the same jobs, of a type without limits. One job tells, as it waits for all of them.

The handler sleeps, as one does that waits for somebody else's service.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import flask_migrate
from sqlalchemy import text

ROOT = Path(__file__).parent.parent
SUPPORT = Path(__file__).parent / "support"
sys.path[:0] = [str(ROOT), str(SUPPORT)]

from limited_app import bp  # noqa: E402 - the path comes first
from processes import await_port, running  # noqa: E402 - likewise

from app import create_app  # noqa: E402
from app.config import DEV_QSTASH  # noqa: E402
from app.db import db  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.jobs import enqueue, enqueue_many  # noqa: E402
from app.ports import free_port  # noqa: E402

MANY, ONE = 1, 2
WAITED = text(
    """
    SELECT extract(epoch FROM started_at - created_at)::float8 FROM job_executions
     WHERE job_id = :job_id AND started_at IS NOT NULL
    """
)
LEFT = text("SELECT count(*) FROM job_executions WHERE status IN ('pending', 'processing')")
PATIENCE = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--takes", type=float, default=0.2, help="seconds that a handler sleeps")
    parser.add_argument("--processes", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        start(stack, Path(folder), given.processes)
        app = create_app()
        app.register_blueprint(bp)
        with app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
            measure(given)


def start(stack: ExitStack, folder: Path, processes: int) -> None:
    """Start the stack, and have this process's settings be those of it."""
    server = stack.enter_context(temporary_server())
    web, queue = free_port(), free_port()
    os.environ.update(
        DEV_QSTASH,
        APP_ENV="test",
        DATABASE_URL=server.url(),
        LOG_LEVEL="ERROR",
        BASE_URL=f"http://127.0.0.1:{web}",
        QSTASH_URL=f"http://127.0.0.1:{queue}",
        PORT=str(web),
        WEB_CONCURRENCY=str(processes),
        PYTHONPATH=f"{ROOT}:{SUPPORT}",
    )
    queue_server = ["flask", "qstash", "dev", "--memory", "--port", str(queue)]
    gunicorn = ["gunicorn", "-c", "gunicorn.conf.py", "limited_app:served()"]
    for port, command in ((queue, queue_server), (web, gunicorn)):
        log = folder / f"{command[0]}.log"
        called = [sys.executable, "-m", *command]
        process = stack.enter_context(running(called, ROOT, dict(os.environ), log))
        await_port(port, process, log)


def measure(given: argparse.Namespace) -> None:
    idle = sample("limited", given.samples)
    enqueue_many("limited", [{"takes": given.takes}] * given.jobs, organization_id=MANY)
    limited = sample("limited", given.samples)
    if not one(LEFT):
        raise SystemExit("the other jobs were done too soon: give more of them")
    empty()
    enqueue_many("unlimited", [{"takes": given.takes}] * given.jobs, organization_id=MANY)
    unlimited = sample("unlimited", 1)
    empty()
    print(f"{given.jobs:,} jobs of another organization, each of {given.takes} s:")
    for name, found in (("idle", idle), ("with limits", limited), ("without", unlimited)):
        middle = statistics.median(found)
        ratio = middle / statistics.median(idle)
        worst = f"longest {max(found) * 1000:,.0f} ms"
        print(f"{name:>12}: median {middle * 1000:,.0f} ms, {ratio:.2f} times idle, {worst}")


def sample(job_type: str, samples: int) -> list[float]:
    """Enqueue jobs one after another; return the seconds that each waited."""
    found = []
    for _ in range(samples):
        job_id = enqueue(job_type, {"takes": 0.0}, organization_id=ONE)
        found.append(until(lambda job_id=job_id: one(WAITED, job_id=str(job_id))))  # type: ignore[misc]  # mypy cannot infer a default's type
        time.sleep(0.2)
    return found


def empty() -> None:
    """Forget what is left, here and at QStash."""
    from app.jobs.operate import Filter, actions  # noqa: PLC0415 - needs the app

    actions.cancel(Filter(everything=True), by="benchmark")
    until(lambda: one(LEFT) == 0 or None)


def one(query: object, **given: str) -> float | None:
    with db.engine.connect() as connection:
        found: float | None = connection.scalar(query, given)  # type: ignore[call-overload]
    return found


def until(ask: Callable[[], float | bool | None]) -> float:
    give_up_at = time.monotonic() + PATIENCE
    while (found := ask()) is None:
        if time.monotonic() > give_up_at:
            raise SystemExit("waited in vain")
        time.sleep(0.01)
    return float(found)


if __name__ == "__main__":
    main()
