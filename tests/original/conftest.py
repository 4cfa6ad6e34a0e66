"""The real stack, once for the folder: PostgreSQL, QStash, the app behind HTTP, Resend's API.

Time passes a thousand times faster at the QStash server.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from app.accounts.models import Membership, Organization, User
from app.db import db
from app.dev.resend_server import Request, ResendServer
from app.jobs import JobExecution, get_job_execution_by_job_id
from app.jobs.testing import wait_for
from app.local_qstash.testing import LocalQStash
from tests.conftest import empty_tables, settings
from tests.original.send_sms import bp as sms
from tests.support.http_server import Canned, canned_server
from tests.support.ports import reserved_port

PATIENCE = 40


@dataclass
class Stack:
    """What runs.

    Attributes:
        elsewhere: The server that stands at https://example.com.
    """

    app: Flask
    resend: ResendServer
    elsewhere: Canned

    def completed(self, job_id: str) -> JobExecution:
        """Wait until QStash has delivered the job, and it has completed."""
        return wait_for(job_id, "completed", timeout=PATIENCE)

    def email(self, job_id: str) -> dict[str, Any]:
        """Return what Resend got from a job, once it has completed."""
        result = self.completed(job_id).result or {}
        return self._sent(result["messageId"]).params

    def await_that(self, condition: Callable[[], object]) -> None:
        give_up_at = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < give_up_at, "waited in vain"
            time.sleep(0.02)

    def _sent(self, message_id: str) -> Request:
        [sent] = [one for one in self.resend.sent if one.email_id == message_id]
        return sent


@pytest.fixture(scope="package")
def stack(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    base_url = f"http://127.0.0.1:{reserved_port()}"
    with canned_server() as elsewhere, ResendServer() as resend:
        origins = {"https://example.com": elsewhere.url}
        with LocalQStash(speed=1000, origins=origins) as qstash:
            given = settings(database_url) | {
                "BASE_URL": base_url,
                "QSTASH_URL": qstash.url,
                "QSTASH_TOKEN": qstash.token,
                "RESEND_API_KEY": "re_local",
                "RESEND_API_URL": resend.url,
                "RESEND_RATE_PER_SECOND": 0,
                "JOBS_CALLBACK_ALLOW": "example.com",
            }
            app = create_app(given, instance=tmp_path_factory.mktemp("original"))
            app.register_blueprint(sms)
            with serving(app, base_url):
                yield Stack(app, resend, elsewhere)
            with app.app_context():
                empty_tables()
                db.session.remove()
                db.engine.dispose()
                app.extensions["jobs"].publisher.close()


class serving:  # noqa: N801 - used like a function
    """The app behind HTTP, in threads of this process."""

    def __init__(self, app: Flask, base_url: str) -> None:
        port = int(base_url.rpartition(":")[2])
        self.server = make_server("127.0.0.1", port, app, threaded=True)
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def app(stack: Stack) -> Iterator[Flask]:
    """The app in its context, for the producer that each of the guide's examples is."""
    with stack.app.app_context():
        yield stack.app
        db.session.rollback()
        db.session.remove()


@pytest.fixture
def acme(app: Flask) -> None:
    """User 123 and organization 456 of the guide."""
    if db.session.get(User, 123) is None:
        person = User(id=123, email="john@acme.example", name="John Doe")
        organization = Organization(id=456, name="Acme Corp")
        db.session.add_all([person, organization])
        db.session.flush()
        db.session.add(Membership(user_id=123, organization_id=456, role="owner"))
        db.session.commit()


def row_of(job_id: str) -> JobExecution:
    row = get_job_execution_by_job_id(job_id)
    assert row is not None
    return row
