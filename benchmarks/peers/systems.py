"""The systems that are compared: how each is started, and what it records."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.processes import output

ROOT = Path(__file__).parent.parent.parent
APPS = Path(__file__).parent / "apps"
PEERS_BIN = ROOT / ".venv/bench/bin"

PROCESSES = 2
THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One way to run jobs.

    Attributes:
        name: on the command line, and as the name of its database.
        label: in reports.
        module: in `apps`, has its tasks and its way to enqueue.
        package: the distribution whose version is reported; empty for ours.
        worker: the command of one process, or of a program that starts all of them.
        processes: how often that command is to be run.
        runs_as: how its workers are started, in words.
        records: what it keeps of a job, and where.
        durable: what a job has survived when the enqueue returns.
        root: the checkout whose code it runs, if it is a build of ours.
    """

    name: str
    label: str
    module: str
    package: str = ""
    worker: Sequence[str] = ()
    processes: int = 1
    needs_redis: bool = False
    runs_as: str
    records: str
    durable: str
    root: Path | None = None

    @property
    def python(self) -> str:
        here = self.root or self.name == "floor"
        return sys.executable if here else str(PEERS_BIN / "python")

    @property
    def folder(self) -> Path:
        return self.root or APPS

    def version(self) -> str:
        """Return the version of its package, as installed; the commit of a build of ours."""
        if self.root:
            return output("git", "-C", str(self.root), "rev-parse", "--short", "HEAD")
        if not self.package:
            return ""
        asked = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        return output(self.python, "-c", asked)

    def environment(self) -> dict[str, str]:
        """Return what its processes get beside the addresses of the servers."""
        if not self.root:
            return {"PYTHONPATH": str(APPS)}
        return {
            "PYTHONPATH": os.pathsep.join((str(self.root), str(APPS))),
            "APP_ENV": "test",
            "LOG_LEVEL": "ERROR",
            "WEB_CONCURRENCY": str(PROCESSES),
            "GUNICORN_THREADS": str(THREADS),
        }


def ours(name: str, label: str, root: Path) -> System:
    return System(
        name=name,
        label=label,
        module="ours",
        worker=(sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "ours:served()"),
        runs_as=f"gunicorn, {PROCESSES} processes of {THREADS} threads; the local QStash server",
        records="each job's row, with its payload, every attempt, times and result, for good",
        durable="committed in PostgreSQL, and synced to disk by the local QStash server",
        root=root,
    )


_PROCRASTINATE = System(
    name="procrastinate",
    label="Procrastinate",
    module="procrastinate_app",
    package="procrastinate",
    worker=(
        str(PEERS_BIN / "procrastinate"),
        "--app=procrastinate_app.app",
        "worker",
        "--queues=bench",
        f"--concurrency={THREADS}",
    ),
    processes=PROCESSES,
    runs_as=f"`procrastinate worker --concurrency {THREADS}`, {PROCESSES} times; sync tasks",
    records="the row of each job, with its arguments, and a row per event; no result; for good",
    durable="committed in PostgreSQL",
)

_CELERY = System(
    name="celery",
    label="Celery",
    module="celery_app",
    package="celery",
    worker=(
        str(PEERS_BIN / "celery"),
        "--app=celery_app",
        "worker",
        "--queues=bench",
        f"--concurrency={PROCESSES}",
        "--loglevel=WARNING",
    ),
    needs_redis=True,
    runs_as=f"`celery worker --concurrency {PROCESSES}` (prefork: {PROCESSES} jobs at a time)",
    records="a row with state, result and time in PostgreSQL, kept a day; no arguments",
    durable="in Redis, on disk within a second",
)

_RQ = System(
    name="rq",
    label="RQ",
    module="rq_app",
    package="rq",
    worker=(
        str(PEERS_BIN / "rq"),
        "worker",
        "--quiet",
        "--worker-class=rq.worker.SimpleWorker",
        "bench",
    ),
    processes=PROCESSES,
    needs_redis=True,
    runs_as=f"`rq worker --worker-class SimpleWorker`, {PROCESSES} times (one job each)",
    records="job and result in Redis, kept 500 seconds",
    durable="in Redis, on disk within a second",
)

_DRAMATIQ = System(
    name="dramatiq",
    label="Dramatiq",
    module="dramatiq_app",
    package="dramatiq",
    worker=(
        str(PEERS_BIN / "dramatiq"),
        "dramatiq_app",
        f"--processes={PROCESSES}",
        f"--threads={THREADS}",
        "--queues=bench",
    ),
    needs_redis=True,
    runs_as=f"`dramatiq --processes {PROCESSES} --threads {THREADS}`",
    records="the result in Redis, kept 10 minutes; no arguments, no times",
    durable="in Redis, on disk within a second",
)

_HUEY = System(
    name="huey",
    label="Huey",
    module="huey_app",
    package="huey",
    worker=(
        str(PEERS_BIN / "huey_consumer"),
        "huey_app.huey",
        "--worker-type=thread",
        f"--workers={THREADS}",
        "--quiet",
    ),
    processes=PROCESSES,
    runs_as=f"`huey_consumer --worker-type thread --workers {THREADS}`, {PROCESSES} times",
    records="the result in PostgreSQL, until it is read; the claim deletes the job",
    durable="committed in PostgreSQL",
)

FLOOR = System(
    name="floor",
    label="floor",
    module="floor_app",
    runs_as="psycopg alone: INSERT and COMMIT; many by COPY",
    records="nothing is executed",
    durable="committed in PostgreSQL",
)

PEERS = (_PROCRASTINATE, _CELERY, _RQ, _DRAMATIQ, _HUEY)
OURS = ours("ours", "ours", ROOT)
