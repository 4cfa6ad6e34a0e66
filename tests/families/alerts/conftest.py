"""The channels as real servers, and jobs that make trouble."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app.dev.resend_server import ResendServer
from tests.support.http_server import HttpServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def slack(app: Flask) -> Iterator[HttpServer]:
    with HttpServer() as server:
        app.config["ALERT_SLACK_URL"] = f"{server.url}/services/T0/B0/secret"
        yield server


@pytest.fixture
def webhook(app: Flask) -> Iterator[HttpServer]:
    with HttpServer() as server:
        app.config.update(ALERT_WEBHOOK_URL=f"{server.url}/alerts", ALERT_WEBHOOK_SECRET=SECRET)
        yield server


@pytest.fixture
def resend(app: Flask) -> Iterator[ResendServer]:
    with ResendServer() as server:
        app.config.update(
            ALERT_EMAIL="ops@example.com", RESEND_API_KEY="re_1", RESEND_API_URL=server.url
        )
        yield server
