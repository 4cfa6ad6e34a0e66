"""Whether QStash and this app understand each other: each trouble provoked at a real server."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, abort, redirect
from qstash import QStash

from app.db import db
from app.jobs.doctor import delivery
from app.jobs.doctor.probe import PROBE
from app.jobs.events import Event, SignatureFailed, observe
from app.jobs.schedules import own_id
from app.local_qstash.testing import LocalQStash
from app.web import proxies
from tests.jobs.doctor.said import Doctor
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import NOBODY, connect, publishing

SIG_A, SIG_B = f"sig_{'a' * 32}", f"sig_{'b' * 32}"


@pytest.fixture
def console(local: LocalQStash) -> Iterator[QStash]:
    """What a person does at QStash."""
    with connect(local.url) as client:
        yield client


def test_where_all_is_well_a_message_comes_back(
    doctor: Doctor, local: LocalQStash, console: QStash
) -> None:
    said = doctor("qstash", "signing-keys", "qstash-clock", "signature", "probe")

    assert set(said.levels().values()) == {"pass"}, said
    assert said.exit_code == 0
    assert console.dlq.list().messages == []


def test_a_qstash_that_is_away_is_one_failure_and_the_rest_is_skipped(doctor: Doctor) -> None:
    said = doctor("qstash", "signing-keys", "schedules", "probe")

    assert said.levels() == {
        "qstash": "fail",
        "signing-keys": "skip",
        "schedules": "skip",
        "probe": "skip",
    }
    assert said.exit_code == 2
    assert "cannot be reached" in said.findings["qstash"]["said"]


def test_a_refused_token_is_told_from_an_outage(doctor: Doctor, app: Flask) -> None:
    with LocalQStash() as local, publishing(app, QSTASH_URL=local.url, QSTASH_TOKEN="wrong"):
        found = doctor("qstash").findings["qstash"]

    assert found["level"] == "fail"
    assert found["said"].endswith("rejected the token")


@pytest.mark.parametrize(
    ("current", "following", "level", "said"),
    [
        (SIG_A, SIG_B, "fail", "every delivery gets a 401"),
        (None, SIG_B, "warn", "after a rotation, all deliveries"),
    ],
)
def test_signing_keys_are_compared_with_qstashs(  # noqa: PLR0917 - a table
    doctor: Doctor,
    app: Flask,
    local: LocalQStash,
    current: str | None,
    following: str,
    level: str,
    said: str,
) -> None:
    app.config["QSTASH_CURRENT_SIGNING_KEY"] = current or local.current_signing_key
    app.config["QSTASH_NEXT_SIGNING_KEY"] = following

    found = doctor("signing-keys").findings["signing-keys"]

    assert found["level"] == level
    assert said in found["said"]
    assert "sig_" not in str(found)


def test_a_rotation_is_told_before_the_next_locks_qstash_out(
    doctor: Doctor, local: LocalQStash, console: QStash
) -> None:
    console.signing_key.rotate()

    found = doctor("signing-keys").findings["signing-keys"]

    assert found["level"] == "warn"
    assert "were rotated" in found["said"]


def test_another_clock_is_told(doctor: Doctor, app: Flask, local: LocalQStash) -> None:
    app.config["JOBS_SIGNATURE_LEEWAY"] = -10.0  # as if any difference were too large

    assert doctor("qstash-clock").levels() == {"qstash-clock": "fail"}


def test_schedules_that_differ_are_told_until_they_are_synced(
    doctor: Doctor, app: Flask, local: LocalQStash, console: QStash
) -> None:
    assert doctor("schedules").levels() == {"schedules": "warn"}
    assert doctor("sweep").levels() == {"sweep": "fail"}

    app.test_cli_runner().invoke(args=["jobs", "schedules", "sync"])

    assert doctor("schedules", "sweep").exit_code == 0
    app.test_cli_runner().invoke(args=["jobs", "schedules", "pause", "jobs-maintenance"])
    assert "paused at QStash" in doctor("schedules").findings["schedules"]["said"]


@pytest.mark.parametrize(("trusted", "level"), [(0, "warn"), (1, "pass")])
def test_fault_R18_a_proxy_that_the_app_was_not_told_of_is_told(
    doctor: Doctor, app: Flask, local: LocalQStash, trusted: int, level: str
) -> None:
    app.config["TRUSTED_PROXIES"] = trusted
    proxies.init_app(app)
    inner = app.wsgi_app

    def proxied(environ: Any, start_response: Any) -> Any:
        return inner({**environ, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}, start_response)

    app.wsgi_app = proxied  # type: ignore[method-assign]

    found = doctor("probe").findings["probe"]

    assert found["level"] == level
    assert ("does not know of" in found["said"]) == (trusted == 0)


def test_another_app_at_base_url_is_told_by_what_qstash_was_answered(
    doctor: Doctor, app: Flask, local: LocalQStash, console: QStash
) -> None:
    with HttpServer(Reply(404)) as other, publishing(app, BASE_URL=other.url):
        said = doctor("signature", "probe").findings

    assert "answers 404, where this app would answer 401" in said["signature"]["said"]
    assert said["probe"]["said"].endswith("was answered 404")
    assert said["probe"]["fix"].startswith("check that BASE_URL leads to this app")
    assert console.dlq.list().messages == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda: redirect("/login"),
        lambda: abort(401),
        lambda: ("JSON, please", 415),
        lambda: "hello",
    ],
    ids=["login", "401", "415", "200"],
)
def test_of_all_that_is_asked_before_a_view_the_one_that_answers_is_named(
    doctor: Doctor, app: Flask, local: LocalQStash, answer: Callable[[], Any]
) -> None:
    def csrf_protect() -> None: ...
    def demand_login() -> Any:
        return answer()

    def audit() -> None: ...

    for function in (csrf_protect, demand_login, audit):
        app.before_request(function)

    fix = doctor("signature").findings["signature"]["fix"]

    assert "demand_login, which answers; have it return None where `is_qstash_endpoint()`" in fix
    assert not {"csrf_protect", "audit"} & set(re.findall(r"\w+", fix))


def test_an_app_that_takes_anything_is_a_failure(
    doctor: Doctor, app: Flask, local: LocalQStash
) -> None:
    with HttpServer() as other, publishing(app, BASE_URL=other.url):
        said = doctor("signature", "probe").findings

    assert "accepts an unsigned request" in said["signature"]["said"]
    assert said["probe"]["level"] == "warn"
    assert "not by an app with this database" in said["probe"]["said"]


def test_nobody_at_base_url_is_told(doctor: Doctor, app: Flask, local: LocalQStash) -> None:
    with publishing(app, BASE_URL=NOBODY):
        said = doctor("signature", "probe")

    assert set(said.levels().values()) == {"fail"}
    assert said.findings["probe"]["said"].endswith("got no answer")


def test_wrong_keys_in_the_app_are_what_qstash_is_answered(
    doctor: Doctor, app: Flask, local: LocalQStash
) -> None:
    app.config.update(QSTASH_CURRENT_SIGNING_KEY=SIG_A, QSTASH_NEXT_SIGNING_KEY=SIG_B)

    found = doctor("probe").findings["probe"]

    assert found["said"].endswith("was answered 401")
    assert "signing keys" in found["fix"]


def test_a_probe_without_a_signature_notifies_nobody(app: Flask) -> None:
    with delivery.listening() as arrived:
        response = app.test_client().post(PROBE, data="forged")
        assert response.status_code == 401
        assert not arrived("forged")
    db.session.rollback()


def test_fault_K19_A5_a_process_that_is_older_than_the_code_is_found(
    doctor: Doctor, app: Flask, local: LocalQStash
) -> None:
    [name] = [rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == "/api/jobs/email"]
    app.view_functions[name] = lambda: ("nothing here", 404)
    found = doctor("endpoints").findings["endpoints"]

    assert found["level"] == "fail"
    assert "does not know send-email:" in found["said"]
    assert "older than the code" in found["fix"]


def test_fault_A22_its_own_requests_are_neither_logged_nor_counted(
    doctor: Doctor, app: Flask, local: LocalQStash, caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[Event] = []
    observe(app, lambda event: failed.append(event) if isinstance(event, SignatureFailed) else None)
    said = doctor("signature", "endpoints")

    assert said.levels() == {"signature": "pass", "endpoints": "pass"}
    assert failed == []
    assert "Invalid QStash signature" not in caplog.text


def test_fault_A22_a_development_without_schedules_is_no_warning(
    doctor: Doctor, app: Flask, local: LocalQStash, console: QStash
) -> None:
    app.config["JOBS_SWEEP_EVERY"] = 10.0
    fresh = doctor("schedules")
    app.test_cli_runner().invoke(args=["jobs", "schedules", "sync"])
    console.schedule.delete(own_id("jobs-maintenance"))

    assert fresh.levels() == {"schedules": "pass"}
    assert "flask jobs schedules sync" in fresh.findings["schedules"]["said"]
    assert doctor("schedules").levels() == {"schedules": "warn"}
