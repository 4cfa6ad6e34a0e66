"""Protection against forged forms, as Flask-WTF's: it finds by name what is exempt from it."""

from typing import Any

import pytest
from flask import Flask, current_app, request


class Protection:
    """Does what CSRFProtect does with a request without token; tests/extension has the real one."""

    def __init__(self, app: Flask) -> None:
        self._exempt: set[str] = set()
        app.extensions["csrf"] = self
        app.before_request(self._protect)

    def exempt(self, view: Any) -> None:
        self._exempt.add(f"{view.__module__}.{view.__name__}")

    def _protect(self) -> Any:
        view = current_app.view_functions[request.endpoint or ""]
        return None if f"{view.__module__}.{view.__name__}" in self._exempt else ("no token", 400)


@pytest.mark.parametrize("path", ["/api/jobs/sample", "/api/jobs/failure-callback"])
def test_deliveries_need_no_token_and_all_others_do(app: Flask, path: str) -> None:
    Protection(app)
    app.post("/form")(lambda: "sent")

    client = app.test_client()

    assert client.post(path).status_code == 401
    assert client.post("/form").status_code == 400
