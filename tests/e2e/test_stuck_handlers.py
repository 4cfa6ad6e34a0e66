"""Time limits on the real stack: whatever a handler does, the process is as good as before soon."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from app.jobs import JobExecution
from app.jobs.executions import get_job_execution_by_job_id
from tests.e2e.gunicorn import Server, gunicorn


def row(job_id: str) -> JobExecution:
    db.session.rollback()
    found = get_job_execution_by_job_id(job_id)
    assert found is not None
    return found


@pytest.fixture
def server(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Server]:
    with gunicorn(tmp_path, database_url) as server:
        yield server


@pytest.mark.parametrize("deed", ["log", "query-and-log", "enqueue"])
def test_fault_R1_D1_a_time_limit_leaves_no_lock_taken_and_no_connection_lost(
    server: Server, deed: str
) -> None:
    """Of handlers whose limits come at random moments each is stopped, and all goes on."""
    for _ in range(3):
        jobs, _ = server.do(deed, 8)
        server.await_that(server.is_well, "all threads")

    assert len(server.workers) == 1
    assert {row(job).status for job in jobs} == {"failed"}
    assert "JobTimeout" in (row(jobs[0]).attempts[0]["kind"])


@pytest.mark.parametrize("deed", ["queue", "connect", "delete"])
def test_fault_R1_D1_where_threads_are_always_at_a_lock_the_process_is_replaced(
    server: Server, deed: str
) -> None:
    """There is hardly a moment at which they could be interrupted safely."""
    server.do(deed, 8)

    server.await_that(server.is_well, "all threads")


@pytest.mark.parametrize("deed", ["block", "swallow"])
def test_fault_R1_what_cannot_be_stopped_ends_with_its_process_before_its_lease(
    server: Server, deed: str
) -> None:
    first = server.workers

    [job], [answer] = server.do(deed)

    server.await_that(lambda: len(server.workers) > len(first), "another worker")
    server.await_that(server.is_well, "its answers")
    assert answer is None
    assert "Cannot be stopped" in server.log
    lease_left = "SELECT lease_expires_at > now() FROM job_executions WHERE job_id = :id"
    assert db.session.scalar(text(lease_left), {"id": job}), "the process outlived the lease"
    assert server.process.poll() is None
