"""`GET /api/admin/job-health`: what it says, and to whom."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import db

PATH = "/api/admin/job-health"
TOKEN = "a token of thirty-two characters"
KEYS = {
    "verdict", "reasons", "lastHour", "completed", "failed", "failureShare", "pending", "overdue",
    "paused", "following",
    "oldestPendingSeconds", "processing", "stuck", "retrying", "dead", "countsEndAt", "measuredAt",
    "sweptAt", "quotaUsedUpUntil",
    "stats", "failureRate", "totalJobs", "health",
}  # fmt: skip


def test_it_answers_with_figures_and_verdict(client: FlaskClient) -> None:
    response = client.get(PATH)

    assert response.status_code == 200
    assert response.json is not None
    assert response.json.keys() == KEYS
    assert (response.json["verdict"], response.json["failureShare"]) == ("healthy", None)


def test_unhealthy_is_503_with_the_same_body(client: FlaskClient) -> None:
    db.session.execute(
        db.text(
            "INSERT INTO job_executions (job_id, job_type, payload, created_at) "
            "VALUES (gen_random_uuid(), 'sample', '{}', now() - interval '2 hours')"
        )
    )
    db.session.commit()

    response = client.get(PATH)

    assert response.status_code == 503
    assert response.json is not None
    assert response.json["reasons"][0]["code"] == "idle"


@pytest.mark.parametrize("environment", ["production", "test"])
def test_outside_development_nobody_may_look_without_a_token(
    app: Flask, client: FlaskClient, environment: str
) -> None:
    app.config["APP_ENV"] = environment

    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
        response = client.get(PATH, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.mimetype == "application/problem+json"


def test_the_token_opens(app: Flask, client: FlaskClient) -> None:
    app.config.update(APP_ENV="production", ADMIN_TOKEN=TOKEN)

    assert client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert client.get(PATH, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [("127.0.0.1", {}, 200), ("10.0.0.9", {}, 401), ("127.0.0.1", {"X-Forwarded-For": "1"}, 401)],
)
def test_in_development_it_is_open_to_the_same_machine_alone(
    client: FlaskClient, address: str, headers: dict[str, str], status: int
) -> None:
    response = client.get(PATH, headers=headers, environ_base={"REMOTE_ADDR": address})

    assert response.status_code == status


@pytest.mark.parametrize(
    "name",
    ["X-Real-Ip", "Via", "Cf-Connecting-Ip", "True-Client-Ip", "Forwarded", "X-Client-Ip",
     "x-forwarded-host", "Fly-Client-Ip", "Cdn-Loop", "Tailscale-User-Login"],
)  # fmt: skip
def test_fault_R24_whoever_comes_by_a_proxy_is_not_at_home(client: FlaskClient, name: str) -> None:
    assert client.get(PATH, headers={name: "203.0.113.9"}).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 401), ("localhost.evil.example", 401), ("192.168.1.5:8000", 401),
     ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("app.example.com", 200)],
)  # fmt: skip
def test_fault_R24_who_asks_for_another_name_is_not_at_home(
    client: FlaskClient, host: str, status: int
) -> None:
    """app.example.com is BASE_URL's."""
    assert client.get(PATH, headers={"Host": host}).status_code == status


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_is_503_as_a_problem(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 503
