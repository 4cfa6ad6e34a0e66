"""An `async def` handler keeps to the same deadline, cancel and fencing as any other."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, current_app, g
from marshmallow import fields
from sqlalchemy import text

from app.db import db
from app.jobs import Continue, Job, JobBlueprint, PayloadSchema, Status, deadline
from app.jobs.errors import ShuttingDown
from app.jobs.testing import perform
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of
from tests.support.sample_jobs import Effect
from tests.support.waiting import wait_until

PATH = "/api/jobs/wait"

bp = JobBlueprint("waits", __name__)
#: What the handlers of a test have said.
said: list[Any] = []


@dataclass(frozen=True)
class Wait:
    way: str


class WaitSchema(PayloadSchema[Wait]):
    model = Wait

    way = fields.String(required=True)


async def forever(job: Job, note: str = "cleaned up") -> None:
    try:
        said.append("waits")
        await asyncio.sleep(3600)
    finally:
        said.append(note)


async def checks(job: Job) -> None:
    while True:
        await asyncio.sleep(0.01)
        job.check()


async def spins() -> None:
    await asyncio.sleep(0)
    while True:
        time.sleep(0.001)  # noqa: ASYNC251 - as a handler may do by mistake


async def in_a_group(job: Job) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever(job))
        group.create_task(checks(job))


async def stubborn() -> None:
    for _ in range(3):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            said.append("no")
    await asyncio.sleep(3600)


@bp.job("wait", "/wait", payload=WaitSchema, timeout=1, retries=3)
async def wait(payload: Wait, job: Job) -> dict[str, Any] | None:  # noqa: C901 - a menu
    await asyncio.sleep(0)
    match payload.way:
        case "works":
            db.session.add(Effect(job_id=job.id, note=current_app.name))
            await asyncio.gather(asyncio.sleep(0.01), asyncio.to_thread(time.sleep, 0.01))
            return {"app": current_app.name, "loop": id(asyncio.get_running_loop()), "g": "x" in g}
        case "fails":
            raise ValueError("not like this")
        case "forever":
            await forever(job)
        case "checks":
            await checks(job)
        case "spins":
            await spins()
        case "group":
            await in_a_group(job)
        case "stubborn":
            await stubborn()
        case "cancels itself":
            raise asyncio.CancelledError
        case "continues" if job.leg == 1:
            raise Continue({"at": 1})
        case "leaves":
            said.append(asyncio.create_task(forever(job, "left behind")))
            await asyncio.sleep(0)
    return None


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(bp)
    said.clear()
    return app


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def waiting(way: str) -> dict[str, Any]:
    return envelope({"way": way}, "wait")


def run(app: Flask, way: str) -> Any:
    job = waiting(way)
    deliver(app.test_client(), job, PATH)
    return row_of(job)


def started(app: Flask, threads: ThreadPoolExecutor, job: dict[str, Any]) -> Future[Any]:
    running = threads.submit(deliver, app.test_client(), job, PATH)
    wait_until(lambda: "waits" in said, "the handler")
    return running


def test_its_work_and_its_result_commit_together(app: Flask) -> None:
    row = run(app, "works")

    assert (row.status, row.result["app"]) == (Status.COMPLETED, app.name)
    notes = db.session.scalars(
        text("SELECT note FROM effects WHERE job_id = :id"), {"id": row.job_id}
    )
    assert notes.all() == [app.name]


def test_a_thread_s_jobs_share_one_loop_and_another_thread_has_its_own(
    app: Flask, threads: ThreadPoolExecutor
) -> None:
    here = {run(app, "works").result["loop"] for _ in range(3)}
    answers = [
        threads.submit(deliver, app.test_client(), waiting("works"), PATH).result()
        for _ in range(2)
    ]
    there = {json.loads(answer.data)["result"]["loop"] for answer in answers}

    assert len(here) == len(there) == 1
    assert here.isdisjoint(there)


def test_it_fails_with_a_trace_into_the_handler(app: Flask) -> None:
    row = run(app, "fails")

    assert (row.status, row.error) == (Status.FAILED, "ValueError: not like this")
    assert "in wait\n    raise ValueError" in row.attempts[-1]["traceback"]


@pytest.mark.parametrize("way", ["forever", "spins", "group", "checks"])
def test_its_time_is_up_wherever_it_is(app: Flask, way: str) -> None:
    started_at = time.monotonic()
    row = run(app, way)

    assert row.error == "the handler was stopped after its timeout of 1 s"
    assert row.attempts[-1]["kind"] == "JobTimeout"
    assert time.monotonic() - started_at < 8
    assert said == (["waits", "cleaned up"] if way in {"forever", "group"} else [])
    assert run(app, "works").status == Status.COMPLETED


def test_one_that_ignores_a_cancel_is_asked_again(app: Flask) -> None:
    row = run(app, "stubborn")

    assert row.attempts[-1]["kind"] == "JobTimeout"
    assert said == ["no"] * 3


def test_a_cancel_of_its_own_is_a_failure_like_any(app: Flask) -> None:
    assert run(app, "cancels itself").attempts[-1]["kind"] == "CancelledError"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("UPDATE job_executions SET cancelled_at = now() WHERE job_id = :id", "cancelled"),
        ("UPDATE job_executions SET lease_token = gen_random_uuid() WHERE job_id = :id", "lost"),
    ],
)
def test_a_cancel_or_a_lost_lease_ends_all_its_tasks(
    app: Flask, threads: ThreadPoolExecutor, change: str, outcome: str
) -> None:
    object.__setattr__(wait.config, "timeout", 60)
    job = waiting("group")
    running = started(app, threads, job)
    with db.engine.begin() as connection:
        connection.execute(text(change), {"id": job["jobId"]})

    answer = running.result(timeout=30)
    assert (answer.status_code, said) == (
        200 if outcome == "cancelled" else 503,
        ["waits", "cleaned up"],
    )
    if outcome == "cancelled":
        assert row_of(job).status == Status.CANCELLED


def test_a_stop_of_the_process_gives_it_back(app: Flask, threads: ThreadPoolExecutor) -> None:
    object.__setattr__(wait.config, "timeout", 60)
    job = waiting("forever")
    running = started(app, threads, job)

    assert deadline.interrupt_all(ShuttingDown) == 1
    running.result(timeout=30)
    assert said == ["waits", "cleaned up"]
    assert row_of(job).attempts[-1]["outcome"] == "released"


def test_where_a_loop_runs_already_it_says_how_to_call_it(app: Flask) -> None:
    async def inside() -> Any:
        return run(app, "works")

    row = asyncio.run(inside())

    assert row.error.startswith("RuntimeError: an `async def` handler cannot run where an event")
    assert "await asyncio.to_thread(" in row.error


def test_a_task_that_it_leaves_behind_does_not_outlive_it(app: Flask) -> None:
    assert run(app, "leaves").status == Status.COMPLETED
    task, *rest = said
    assert rest == ["waits", "left behind"]
    assert task.cancelled()


def test_it_may_continue(app: Flask, published: list[Any]) -> None:
    assert run(app, "continues").attempts[-1]["outcome"] == "continued"


def test_a_test_can_perform_it(app: Flask) -> None:
    assert perform("wait", Wait("nothing")) is None
