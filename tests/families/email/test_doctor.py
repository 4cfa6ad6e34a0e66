"""What the doctor says of Resend, which a real server plays."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app.dev.resend_server import INVALID_KEY, ResendServer
from app.families.email import doctor
from app.jobs.doctor import Level


@pytest.fixture
def server(app: Flask) -> Iterator[ResendServer]:
    with ResendServer() as server:
        app.config.update(
            RESEND_API_KEY="re_1",
            RESEND_API_URL=server.url,
            RESEND_FROM_EMAIL="Acme <mail@Acme.example>",
        )
        yield server


def test_a_key_and_a_verified_domain_pass(server: ResendServer) -> None:
    server.domains = {"acme.example": "verified"}
    assert doctor.resend_key().level == Level.PASS

    server.domains = None
    assert "may only send" in doctor.resend_key().said


@pytest.mark.parametrize(
    ("domains", "said"),
    [({}, "Resend does not know it"), ({"acme.example": "pending"}, "its status is pending")],
)
def test_a_domain_that_is_not_verified_fails(
    server: ResendServer, domains: dict[str, str], said: str
) -> None:
    server.domains = domains

    found = doctor.resend_key()

    assert found.level == Level.FAIL
    assert said in found.said


def test_a_refused_key_fails_and_an_outage_warns(app: Flask, server: ResendServer) -> None:
    app.config["RESEND_API_KEY"] = INVALID_KEY
    assert doctor.resend_key().said == "Resend rejects the key: 403 invalid_api_key"
    assert doctor.resend_key().level == Level.FAIL

    app.config["RESEND_API_URL"] = "http://127.0.0.1:9"
    assert doctor.resend_key().level == Level.WARN


def test_production_sends_from_a_domain_of_its_own(app: Flask, server: ResendServer) -> None:
    assert doctor.resend_domain().level == Level.PASS

    app.config["RESEND_FROM_EMAIL"] = "Acme <onboarding@resend.dev>"
    assert doctor.resend_domain().level == Level.FAIL


def test_fault_A12_production_is_told_that_nobody_can_ask_for_help(app: Flask) -> None:
    app.config["SUPPORT_EMAIL"] = ""
    assert doctor.support_email().level == Level.WARN

    app.config["SUPPORT_EMAIL"] = "help@acme.example"
    assert doctor.support_email().level == Level.PASS
