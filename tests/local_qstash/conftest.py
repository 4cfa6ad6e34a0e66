import asyncio
from collections.abc import Iterator

import httpx
import pytest
from qstash import AsyncQStash, QStash

from app.local_qstash.testing import LocalQStash
from tests.local_qstash.sdk import Sdk
from tests.support.http_server import HttpServer
from tests.support.publishing import connect


@pytest.fixture
def destination() -> Iterator[HttpServer]:
    with HttpServer() as running:
        yield running


@pytest.fixture
def server() -> Iterator[LocalQStash]:
    """A server in memory whose default backoff takes about a tenth of a second."""
    with LocalQStash(speed=100) as running:
        yield running


@pytest.fixture
def client(server: LocalQStash) -> Iterator[QStash]:
    with connect(server.url) as connected:
        yield connected


@pytest.fixture
def http(server: LocalQStash) -> Iterator[httpx.Client]:
    """Raw HTTP with the right token."""
    headers = {"Authorization": f"Bearer {server.token}"}
    # Without verify=False every client would load the system's certificates first.
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as session:  # noqa: S501
        yield session


@pytest.fixture(params=[QStash, AsyncQStash], ids=["sync", "async"])
def sdk(request: pytest.FixtureRequest, server: LocalQStash) -> Iterator[Sdk]:
    with asyncio.Runner() as runner:
        sdk = Sdk(request.param(server.token, base_url=server.url, retry=False), runner)
        yield sdk
        sdk.close()
