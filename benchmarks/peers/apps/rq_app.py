"""RQ: job, queue and result are in Redis; a result is kept for 500 seconds."""

import os
from contextlib import AbstractContextManager, nullcontext

import handler
from producer import Job
from redis import Redis
from rq import Queue

connection = Redis.from_url(f"{os.environ['BENCH_REDIS']}/1")
queues = {
    parked: Queue("parked" if parked else "bench", connection=connection)
    for parked in (False, True)
}


def bench(sent: int, wait: float, pad: str) -> dict[str, bool]:  # noqa: ARG001 - ballast
    return handler.run(sent, wait)


def setup() -> None:
    """Do nothing: Redis has no tables."""


def context() -> AbstractContextManager[object]:
    return nullcontext()


def send(job: Job, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    queues[parked].enqueue_call("rq_app.bench", kwargs=job._asdict())


def send_many(jobs: list[Job], parked: bool) -> None:  # noqa: FBT001 - likewise
    prepared = [Queue.prepare_data("rq_app.bench", kwargs=job._asdict()) for job in jobs]
    queues[parked].enqueue_many(prepared)


def recorded() -> int:
    return queues[False].finished_job_registry.get_job_count(cleanup=False)
