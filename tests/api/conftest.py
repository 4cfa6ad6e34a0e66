"""API keys, and requests with them."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.calling import Call


@pytest.fixture
def call(client: FlaskClient) -> Call:
    """Call with a key: `call("GET", "/api/jobs", key=…)`."""

    def send(method: str, path: str, key: str | None = None, **request: Any) -> TestResponse:
        headers = request.pop("headers", {})
        if key is not None:
            headers = {"Authorization": f"Bearer {key}", **headers}
        return client.open(path, method=method, headers=headers, **request)

    return send
