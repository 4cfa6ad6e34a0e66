"""Celery: Redis holds the queue, and each result is a row in PostgreSQL (`celery_taskmeta`)."""

import os
from contextlib import AbstractContextManager, nullcontext

import handler
import psycopg
from celery import Celery, group
from producer import Job

app = Celery(
    "bench",
    broker=f"{os.environ['BENCH_REDIS']}/0",
    backend="db+" + os.environ["BENCH_DATABASE"].replace("postgresql://", "postgresql+psycopg://"),
)
app.conf.task_default_queue = "bench"
app.conf.broker_connection_retry_on_startup = True


@app.task(name="bench")
def bench(sent: int, wait: float, pad: str) -> dict[str, bool]:  # noqa: ARG001 - ballast
    return handler.run(sent, wait)


def setup() -> None:
    """Create the tables as the first result would."""
    app.backend.get_result("none")


def context() -> AbstractContextManager[object]:
    return nullcontext()


def send(job: Job, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    bench.apply_async(kwargs=job._asdict(), queue="parked" if parked else "bench")


def send_many(jobs: list[Job], parked: bool) -> None:  # noqa: FBT001 - likewise
    """Send a group: Celery has no call that sends several messages at once."""
    queue = "parked" if parked else "bench"
    group(bench.s(**job._asdict()).set(queue=queue) for job in jobs).apply_async()


_connection: list[psycopg.Connection[tuple[int]]] = []


def recorded() -> int:
    if not _connection:
        _connection.append(psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True))
    done = "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'"
    row = _connection[0].execute(done).fetchone()
    return row[0] if row else 0
