"""What the doctor says of Stripe, which a real server plays."""

import pytest
from flask import Flask

from app.families.stripe import doctor
from app.jobs.doctor import Level
from tests.support.http_server import HttpServer, Reply

KEY = "sk_test_1"
REFUSED = '{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}'


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [
        (200, '{"object": "list", "data": [], "has_more": false, "url": "/v1/customers"}', "pass"),
        (403, REFUSED, "pass"),
        (401, REFUSED, "fail"),
        (500, REFUSED, "warn"),
    ],
)
def test_stripes_answer_is_the_finding(app: Flask, status: int, body: str, level: str) -> None:
    with HttpServer(Reply(status, body)) as stripe:
        app.config.update(STRIPE_SECRET_KEY=KEY, STRIPE_API_URL=stripe.url)

        found = doctor.stripe_key()

    assert found.level == level
    assert KEY not in found.said


def test_production_uses_no_key_of_the_test_mode(app: Flask) -> None:
    app.config["STRIPE_SECRET_KEY"] = KEY
    assert doctor.stripe_mode().level == Level.FAIL

    app.config["STRIPE_SECRET_KEY"] = "sk_live_1"
    assert doctor.stripe_mode().level == Level.PASS
