"""A real local QStash server, and the app behind a real HTTP server that it delivers to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from qstash import QStash
from sqlalchemy import update
from werkzeug.serving import make_server

from app.db import db
from app.jobs import JobBlueprint, JobExecution
from app.jobs.extension import _publisher
from app.jobs.table.job_rows import get_job_execution_by_job_id
from app.local_qstash.testing import LocalQStash
from tests.support.qstash import BASE_URL

PATIENCE = 20


@pytest.fixture
def qstash(app: Flask) -> Iterator[QStash]:
    """The SDK's client for a local server that the app publishes to, and that reaches nobody."""
    with served_by(app, LocalQStash(origins={BASE_URL: "http://127.0.0.1:9"})) as client:
        yield client


@pytest.fixture
def live_qstash(app: Flask) -> Iterator[QStash]:
    """Likewise, but it delivers to the app, with retries that come at once."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    with served_by(app, LocalQStash(speed=1000, origins={BASE_URL: origin})) as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def served_by(app: Flask, qstash: LocalQStash) -> Iterator[QStash]:
    with qstash:
        app.config.update(QSTASH_URL=qstash.url, QSTASH_TOKEN=qstash.token)
        state = app.extensions["jobs"]
        app.extensions["jobs"] = replace(state, publisher=_publisher(app.config))
        client = QStash(qstash.token, base_url=qstash.url)
        try:
            yield client
        finally:
            client.http._client.close()
            app.extensions["jobs"].publisher.close()


@dataclass
class Rows:
    """The table, as it is now."""

    def __getitem__(self, job_id: str) -> JobExecution:
        db.session.rollback()
        row = get_job_execution_by_job_id(job_id)
        assert row is not None, f"no job has the id {job_id}"
        return row

    def __contains__(self, job_id: str) -> bool:
        db.session.rollback()
        return get_job_execution_by_job_id(job_id) is not None

    def set(self, job_id: str, **values: Any) -> None:
        change = update(JobExecution).where(JobExecution.job_id == job_id).values(**values)
        db.session.execute(change)
        db.session.commit()


@pytest.fixture
def rows(app: Flask) -> Rows:
    return Rows()


def wait_until(condition: Callable[[], object], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up_at, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def only_maintenance(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The families that the app ships with declare no schedules."""
    for blueprint in app.blueprints.values():
        for job_type in blueprint.job_types if isinstance(blueprint, JobBlueprint) else ():
            monkeypatch.setattr(job_type, "schedules", [])
