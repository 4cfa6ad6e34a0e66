"""The real stack, once for the folder: PostgreSQL, QStash, the app behind HTTP, Resend's API.

Time passes a thousand times faster at the QStash server.
"""

from collections.abc import Iterator

import pytest
from flask import Flask

from app import create_app
from app.accounts.models import Membership, Organization, User
from app.db import db
from app.dev.resend_server import ResendServer
from app.local_qstash.testing import LocalQStash
from tests.original.send_sms import bp as sms
from tests.original.stack import Stack
from tests.support.apps import close_connections, empty_tables, settings
from tests.support.http_server import HttpServer, serving
from tests.support.ports import reserved_port


@pytest.fixture(scope="package")
def stack(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    port = reserved_port()
    with HttpServer() as elsewhere, ResendServer() as resend:
        origins = {"https://example.com": elsewhere.url}
        with LocalQStash(speed=1000, origins=origins) as qstash:
            given = settings(database_url) | {
                "BASE_URL": f"http://127.0.0.1:{port}",
                "QSTASH_URL": qstash.url,
                "QSTASH_TOKEN": qstash.token,
                "RESEND_API_KEY": "re_local",
                "RESEND_API_URL": resend.url,
                "RESEND_RATE_PER_SECOND": 0,
                "JOBS_CALLBACK_ALLOW": "example.com",
            }
            app = create_app(given, instance=tmp_path_factory.mktemp("original"))
            app.register_blueprint(sms)
            with serving(app, port):
                yield Stack(app, resend, elsewhere)
            with app.app_context():
                empty_tables()
                close_connections()


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
