"""Where an app publishes to: a local QStash, which delivers to nobody or to the app, or another."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from qstash import QStash

from app.jobs.extension import new_publisher
from app.jobs.publish.qstash import Publisher
from app.local_qstash.settings import DEVELOPMENT
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import serving
from tests.support.qstash import BASE_URL

#: Where a connection is refused at once: the discard port.
NOBODY = "http://127.0.0.1:9"
#: Seconds in which the local server answers on a machine that is busy with other things, too.
PATIENCE = 60.0


@contextmanager
def publishing(app: Flask, publisher: Publisher | None = None, **settings: Any) -> Iterator[None]:
    """Have an app publish elsewhere for a while: as its settings say, changed by these."""
    before, settings_before = app.extensions["jobs"], {name: app.config[name] for name in settings}
    app.config.update(settings)
    used = publisher or new_publisher(app.config)
    app.extensions["jobs"] = replace(before, publisher=used)
    try:
        yield
    finally:
        app.extensions["jobs"] = before
        app.config.update(settings_before)
        used.close()


@contextmanager
def connect(url: str, token: str = DEVELOPMENT.token) -> Iterator[QStash]:
    """Yield the SDK's client for a server; it has no way to close its connections itself."""
    client = QStash(token, base_url=url, retry=False)
    with client.http._client:
        yield client


@contextmanager
def served_by(app: Flask, qstash: LocalQStash) -> Iterator[QStash]:
    """Start a server for the app to publish to."""
    with (
        qstash,
        publishing(
            app,
            QSTASH_URL=qstash.url,
            QSTASH_TOKEN=qstash.token,
            JOBS_PUBLISH_TIMEOUT=PATIENCE,
        ),
        connect(qstash.url) as client,
    ):
        yield client


@pytest.fixture
def qstash(app: Flask) -> Iterator[QStash]:
    """The SDK's client for a local server that the app publishes to, and that reaches nobody."""
    with served_by(app, LocalQStash(origins={BASE_URL: NOBODY})) as client:
        yield client


@pytest.fixture
def live_qstash(app: Flask) -> Iterator[QStash]:
    """The same, but it delivers to the app, with immediate retries."""
    with (
        serving(app) as origin,
        served_by(app, LocalQStash(speed=1000, origins={BASE_URL: origin})) as client,
    ):
        yield client
