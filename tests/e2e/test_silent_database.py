"""A database that falls silent without closing its connections."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from app.db import db
from app.engine import LIMITS
from tests.e2e.gunicorn import Server, gunicorn
from tests.support.rows import row_of
from tests.support.silent_proxy import SilentProxy


@pytest.fixture
def proxy(database_url: str) -> Iterator[SilentProxy]:
    with SilentProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def server(app: Flask, proxy: SilentProxy, tmp_path: Path) -> Iterator[Server]:
    with gunicorn(tmp_path, proxy.url, GUNICORN_GRACEFUL_TIMEOUT="8", JOBS_GRACE="3") as server:
        yield server


def test_fault_R2_every_connection_has_the_clients_own_limits(app: Flask) -> None:
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()

    assert {name: given.get(name) for name in LIMITS} == {
        name: str(value) for name, value in LIMITS.items()
    }


def test_fault_R2_workers_whose_database_fell_silent_are_replaced(
    server: Server, proxy: SilentProxy
) -> None:
    assert server.is_well()  # and has connections
    proxy.fall_silent()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.do, "nothing", 8)
        server.await_that(lambda: len(server.workers) > 1, "another worker")

    server.await_that(server.is_well, "its answers")
    assert "the claim of deed" in server.log


def test_fault_R2_a_handler_that_waits_for_it_ends_by_its_time_limit(
    server: Server, proxy: SilentProxy
) -> None:
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(server.do, "query-and-log", 1)
        server.await_that(lambda: "row done" in server.log, "the handler")
        proxy.fall_silent()
        server.await_that(lambda: len(server.workers) > 1, "another worker")
        [job], _ = running.result()

    server.await_that(server.is_well, "its answers")
    assert row_of(job).status == "processing"
    assert row_of(job).lease_expires_at is not None


def test_fault_R2_a_stop_of_the_process_takes_its_grace_and_no_more(
    server: Server, proxy: SilentProxy
) -> None:
    assert server.is_well()
    proxy.fall_silent()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.do, "nothing", 2)
        time.sleep(0.5)  # nothing is to be seen from outside of a claim that waits
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)

    assert time.monotonic() - began < 15
