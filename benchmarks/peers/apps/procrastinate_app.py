"""Procrastinate: a row per job, which it keeps, and a row per event in the life of a job."""

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import handler
import procrastinate
from producer import Job

if TYPE_CHECKING:
    from procrastinate.types import JSONDict

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_DATABASE"])
)


@app.task(name="bench", queue="bench")
def bench(sent: int, wait: float, pad: str) -> dict[str, bool]:  # noqa: ARG001 - ballast
    return handler.run(sent, wait)


def setup() -> None:
    app.schema_manager.apply_schema()


def context() -> AbstractContextManager[object]:
    return app.open()


def _deferrer(parked: bool) -> procrastinate.jobs.JobDeferrer:  # noqa: FBT001 - as below
    return app.configure_task("bench", queue="parked" if parked else "bench")


def send(job: Job, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    _deferrer(parked).defer(**job._asdict())


def send_many(jobs: list[Job], parked: bool) -> None:  # noqa: FBT001 - likewise
    arguments: list[JSONDict] = [job._asdict() for job in jobs]
    _deferrer(parked).batch_defer(*arguments)


def recorded() -> int:
    done = "SELECT count(*) AS done FROM procrastinate_jobs WHERE status = 'succeeded'"
    count: int = app.connector.get_sync_connector().execute_query_one(done)["done"]
    return count
