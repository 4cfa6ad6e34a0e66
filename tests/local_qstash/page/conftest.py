from collections.abc import Iterator

import httpx
import pytest

from app.local_qstash.testing import LocalQStash


@pytest.fixture
def page(server: LocalQStash) -> Iterator[httpx.Client]:
    """A visitor without a token, whose browser tells where its forms come from."""
    headers = {"Origin": server.url}
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as visitor:  # noqa: S501 - loads no certificates for plain HTTP
        yield visitor
