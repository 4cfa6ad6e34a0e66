"""Security headers: on every answer, unless a view says otherwise."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from tests.support.apps import settings

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
    app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    app.testing = False
    answer = client.get("/broken")
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (500, "nosniff")


@pytest.fixture
def in_development(database_url: str, tmp_path: Path) -> FlaskClient:
    """An app as `make dev` runs it: one that tests is asked for all kinds of names."""
    own = {"TESTING": False, "BASE_URL": "http://127.0.0.1:8123", "JOBS_SWEEP_EVERY": 0}
    app = create_app({**settings(database_url), **own}, instance=tmp_path)
    return app.test_client()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5"]
)
def test_fault_R24_in_development_no_other_name_is_answered(
    in_development: FlaskClient, host: str
) -> None:
    for path, method in (("/healthz", "GET"), ("/api/jobs/email", "POST")):
        answer = in_development.open(path, method=method, headers={"Host": host})
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8123", "localhost", "localhost:5000", "[::1]:8123", "app.localhost"]
)
def test_in_development_this_machine_is_answered(in_development: FlaskClient, host: str) -> None:
    assert in_development.get("/healthz", headers={"Host": host}).status_code == 200
