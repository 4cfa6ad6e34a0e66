"""Security headers: on every answer, unless a view says otherwise."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

PATHS = ["/", "/healthz", "/api/jobs", "/api/openapi.json", "/api/jobs/email"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_them(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Strict-Transport-Security" not in headers


def test_json_of_the_api_is_kept_by_nobody(client: FlaskClient) -> None:
    assert client.get("/api/jobs").headers["Cache-Control"] == "no-store"


def test_what_a_view_says_stands(app: Flask, client: FlaskClient) -> None:
    own = {"Content-Security-Policy": "sandbox", "Cache-Control": "private"}
    app.add_url_rule("/api/own", "own", lambda: ({}, 200, own))

    headers = client.get("/api/own").headers

    assert (headers.getlist("Content-Security-Policy"), headers["Cache-Control"]) == (
        ["sandbox"],
        "private",
    )


def test_production_is_https_for_a_year(app: Flask, client: FlaskClient) -> None:
    app.config["APP_ENV"] = "production"
    assert client.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_failure_has_them_too(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    app.testing = False
    answer = client.get("/broken")
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (500, "nosniff")
