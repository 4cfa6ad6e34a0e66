from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.dev.resend_server import ResendServer
from app.jobs import Job
from app.jobs.testing import make_job


@pytest.fixture
def mailer(tmp_path: Path) -> Iterator[Flask]:
    """An app with nothing but the settings of emails; without an API key, so with a mailbox."""
    app = Flask(__name__, instance_path=str(tmp_path))
    app.config.update(
        APP_NAME="Acme",
        BASE_URL="https://acme.example",
        SUPPORT_EMAIL="",
        RESEND_API_KEY="",
        RESEND_FROM_EMAIL="Acme <hello@acme.example>",
        RESEND_RATE_PER_SECOND=2,
        MAILBOX_DIR="mailbox",
    )
    with app.app_context():
        yield app


@pytest.fixture
def resend(mailer: Flask) -> Iterator[ResendServer]:
    """A server with Resend's API, to which the app sends."""
    with ResendServer() as server:
        mailer.config.update(RESEND_API_KEY="re_test", RESEND_API_URL=f"{server.url}/")
        yield server


@pytest.fixture
def mailbox(mailer: Flask) -> Path:
    return Path(mailer.instance_path, "mailbox")


@pytest.fixture
def job() -> Job:
    return make_job("send-email")
