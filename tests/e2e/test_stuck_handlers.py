"""Time limits on the real stack: whatever a handler does, the process is as good as before soon."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from app.jobs import enqueue
from app.local_qstash.testing import LocalQStash
from tests.e2e.gunicorn import Server, gunicorn
from tests.support.ill_behaved import bp
from tests.support.publishing import publishing
from tests.support.rows import row_of


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
    assert {row_of(job).status for job in jobs} == {"failed"}
    assert "JobTimeout" in (row_of(jobs[0]).attempts[0]["kind"])


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
    lease_left = "SELECT lease_expires_at > now() FROM job_executions WHERE job_id = :id"
    assert db.session.scalar(text(lease_left), {"id": job}), "the process outlived the lease"

    server.await_that(lambda: len(server.workers) > len(first), "another worker")
    server.await_that(server.is_well, "its answers")
    assert answer is None
    assert "Cannot be stopped" in server.log
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "payload",
    [{"action": "exit", "code": code} for code in (0, 1, 3, 4)] + [{"action": "exit-early"}],
    ids=str,
)
@pytest.mark.usefixtures("app")
def test_fault_K1_R6_no_exit_of_a_handler_or_validator_ends_a_process(
    lasting_server: Server, payload: dict[str, Any]
) -> None:
    [job], [answer] = lasting_server.do(**payload)

    assert (answer, row_of(job).status) == (500, "failed")
    assert (row_of(job).error or "").startswith("SystemExit: ")
    assert lasting_server.is_well()
    assert (lasting_server.process.poll(), len(lasting_server.workers)) == (None, 1)


@pytest.fixture(scope="module")
def lasting_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with gunicorn(tmp_path_factory.mktemp("server"), database_url) as server:
        yield server


def test_fault_R12_a_reload_kills_no_job_without_tries_left(
    app: Flask, database_url: str, tmp_path: Path
) -> None:
    """Deliveries on kept connections go on while the old workers stop."""
    with LocalQStash() as qstash:
        given: dict[str, Any] = {"QSTASH_URL": qstash.url, "QSTASH_TOKEN": qstash.token}
        with (
            gunicorn(tmp_path, database_url, **given) as server,
            publishing(app, **given, BASE_URL=server.url),
        ):
            app.register_blueprint(bp)
            quick = {"action": "nothing", "code": 0}
            jobs = []
            for reload in (False, True, True):
                if reload:
                    server.process.send_signal(signal.SIGHUP)
                jobs += [enqueue("patient", quick, retries=0) for _ in range(40)]
            server.await_that(lambda: all(row_of(job).is_final for job in jobs), "all jobs")

    ends = Counter((row_of(job).status, row_of(job).error) for job in jobs)
    assert ends == {("completed", None): 120}
