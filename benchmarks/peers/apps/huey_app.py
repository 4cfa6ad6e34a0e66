"""Huey on PostgreSQL: a queued job is a row that the claim deletes; a result is another row."""

import os
from contextlib import AbstractContextManager, nullcontext

import handler
from huey import PostgresHuey
from producer import Job

huey = PostgresHuey("bench", dsn=os.environ["BENCH_DATABASE"])
parked_huey = PostgresHuey("parked", dsn=os.environ["BENCH_DATABASE"])


def bench(sent: int, wait: float, pad: str) -> dict[str, bool]:  # noqa: ARG001 - ballast
    return handler.run(sent, wait)


tasks = {False: huey.task(name="bench")(bench), True: parked_huey.task(name="bench")(bench)}


def setup() -> None:
    """Do nothing: the tables were created with `huey`."""


def context() -> AbstractContextManager[object]:
    return nullcontext()


def send(job: Job, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    tasks[parked](**job._asdict())


def send_many(jobs: list[Job], parked: bool) -> None:  # noqa: FBT001 - likewise
    """Send one after another: Huey has no call for many."""
    for job in jobs:
        send(job, parked)


def recorded() -> int:
    count: int = huey.storage.result_store_size()
    return count
