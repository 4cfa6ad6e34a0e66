import asyncio
import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import httpx
import pytest
from qstash import AsyncQStash, QStash

from app.local_qstash.testing import LocalQStash
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
    with connect(server) as connected:
        yield connected


@pytest.fixture
def http(server: LocalQStash) -> Iterator[httpx.Client]:
    """Raw HTTP with the right token."""
    headers = {"Authorization": f"Bearer {server.token}"}
    # Without verify=False every client would load the system's certificates first.
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as session:  # noqa: S501
        yield session


class Sdk:
    """An official client, sync or async, behind one way to call it: `sdk("queue.get", "q")`."""

    def __init__(self, client: QStash | AsyncQStash, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        result = attrgetter(verb)(self._client)(*args, **options)
        return self._runner.run(result) if inspect.isawaitable(result) else result

    def close(self) -> None:
        if isinstance(self._client, QStash):
            self._client.http._client.close()
        else:
            self._runner.run(self._client.http._client.aclose())


@pytest.fixture(params=[QStash, AsyncQStash], ids=["sync", "async"])
def sdk(request: pytest.FixtureRequest, server: LocalQStash) -> Iterator[Sdk]:
    with asyncio.Runner() as runner:
        sdk = Sdk(request.param(server.token, base_url=server.url, retry=False), runner)
        yield sdk
        sdk.close()
