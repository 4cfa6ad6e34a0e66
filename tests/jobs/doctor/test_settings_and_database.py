"""Settings, the database, the queue, the command itself."""

import logging
import time

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import create_engine

from app.admin import doctor as admin_doctor
from app.config import DEVELOPMENT
from app.db import db
from app.jobs import doctor as doctors
from app.jobs import enqueue
from app.jobs.doctor import Finding, database, examination
from tests.jobs.doctor.said import Doctor
from tests.support.rows import AddJobs

HOURS_AGO = "now() - interval '2 hours'"


def test_an_address_of_this_machine_cannot_be_reached_from_the_network(
    doctor: Doctor, app: Flask
) -> None:
    app.config.update(BASE_URL="http://localhost:8000", QSTASH_URL="https://qstash.upstash.io")
    assert doctor("base-url").levels() == {"base-url": "fail"}

    app.config["BASE_URL"] = "http://app.example.com"
    assert doctor("base-url").levels() == {"base-url": "warn"}


def test_a_setting_under_a_wrong_name_is_told(doctor: Doctor, app: Flask) -> None:
    assert doctor("settings").levels() == {"settings": "pass"}

    app.config["JOBS_RETENTON"] = "completed=7d"
    found = doctor("settings").findings["settings"]
    assert (found["level"], found["fix"]) == ("warn", "rename it, or remove it")
    assert found["said"] == "JOBS_RETENTON is no setting: did you mean: JOBS_RETENTION?"


def test_loggers_that_were_disabled_are_told(doctor: Doctor) -> None:
    assert doctor("logging").levels() == {"logging": "pass"}

    disabled = logging.getLogger("app.jobs.execute.executor")
    disabled.disabled = True  # as dictConfig does by default, to all that there are
    try:
        found = doctor("logging").findings["logging"]
    finally:
        disabled.disabled = False
    assert (found["level"], found["said"]) == (
        "warn",
        "loggers of app.jobs are disabled (1): nothing that they log is seen",
    )
    assert "'disable_existing_loggers': False" in found["fix"]


def test_a_disabled_logger_of_the_apps_own_is_none_of_the_extensions(doctor: Doctor) -> None:
    own = logging.getLogger("app.jobs_of_ours")
    own.disabled = True
    try:
        assert doctor("logging").levels() == {"logging": "pass"}
    finally:
        own.disabled = False


def test_published_credentials_are_for_this_machine_only(doctor: Doctor, app: Flask) -> None:
    found = doctor("credentials").findings["credentials"]
    assert found["level"] == "fail"
    names = "QSTASH_CURRENT_SIGNING_KEY, QSTASH_NEXT_SIGNING_KEY, QSTASH_TOKEN"
    assert found["said"].startswith(names)

    app.config["BASE_URL"] = "http://127.0.0.1:8000"
    assert doctor("credentials").exit_code == 0


def test_a_database_in_order_passes(doctor: Doctor) -> None:
    said = doctor("database", "migrations", "connections", "database-clock", "pool")

    assert {name for name, level in said.levels().items() if level == "fail"} == set()


def test_a_setting_that_the_columns_of_ids_do_not_fit_is_told(doctor: Doctor, app: Flask) -> None:
    assert doctor("id-type").levels() == {"id-type": "pass"}

    app.config["JOBS_ID_TYPE"] = "uuid"
    found = doctor("id-type").findings["id-type"]
    assert found["level"] == "fail"
    assert "job_executions.user_id" in found["said"]
    assert found["said"].endswith("JOBS_ID_TYPE=uuid")
    assert found["fix"].startswith("set JOBS_ID_TYPE to what your ids are, then run `flask ")


@pytest.mark.usefixtures("no_database")
def test_without_a_database_what_needs_it_is_skipped(doctor: Doctor) -> None:
    said = doctor("database", "migrations", "payloads")

    assert said.levels() == {"database": "fail", "migrations": "skip", "payloads": "skip"}
    assert said.findings["database"]["fix"].startswith("check DATABASE_URL")


def test_more_threads_than_connections_are_told(doctor: Doctor, app: Flask) -> None:
    app.config["GUNICORN_THREADS"] = 50
    assert "50 threads of a process share" in doctor("pool").findings["pool"]["said"]

    app.config["WEB_CONCURRENCY"] = 100
    assert doctor("connections").levels() == {"connections": "warn"}


def test_a_full_database_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_doctor, "FULL", 0.0)

    assert doctor("connections").levels() == {"connections": "fail"}


def test_a_slow_database_is_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SLOW_MS", 0.0)

    assert doctor("database").levels() == {"database": "warn"}


def test_jobs_that_are_late_stuck_failing_or_dead_are_told(
    doctor: Doctor, add_jobs: AddJobs
) -> None:
    checks = ("deliveries", "processing", "failures", "dead-letters")
    assert doctor(*checks).exit_code == 0

    add_jobs(1, "pending", created_at=HOURS_AGO)
    add_jobs(1, "processing", started_at=HOURS_AGO, lease_expires_at=HOURS_AGO)
    add_jobs(1, "failed", dead_at=HOURS_AGO, completed_at=HOURS_AGO)
    said = doctor(*checks)
    assert said.levels() == {
        "deliveries": "fail",
        "processing": "warn",
        "failures": "pass",
        "dead-letters": "warn",
    }

    add_jobs(3, "failed")
    assert doctor("failures").levels() == {"failures": "fail"}


def test_a_queued_payload_that_the_code_refuses_is_named(doctor: Doctor) -> None:
    job_id = enqueue("sample", {"action": "none"})
    db.session.execute(
        db.text("UPDATE job_executions SET payload = jsonb_set(payload, '{payload}', '{}')")
    )
    db.session.commit()

    assert job_id in doctor("payloads").findings["payloads"]["said"]


def test_production_has_a_checklist_of_its_own(doctor: Doctor, app: Flask) -> None:
    everyday = doctor().findings.keys()
    said = doctor(args=("--production",))

    assert everyday < said.findings.keys()
    levels = said.levels()
    # The last two, as these are development's.
    for name in ("environment", "debug", "published-secrets"):
        assert levels[name] == "fail"
    assert (levels["rate-limits"], levels["backups"]) == ("warn", "warn")


@pytest.mark.parametrize(("proxies", "level"), [(0, "warn"), (1, "pass")])
def test_fault_K18_R21_production_is_told_of_slow_clients(
    doctor: Doctor, app: Flask, proxies: int, level: str
) -> None:
    app.config["TRUSTED_PROXIES"] = proxies

    found = doctor("slow-clients", args=("--production",)).findings["slow-clients"]

    assert (found["level"], "buffers requests" in str(found)) == (level, True)


def test_a_secret_that_can_be_guessed_is_told_without_telling_it(
    doctor: Doctor, app: Flask
) -> None:
    app.config["SECRET_KEY"] = "a" * 40

    found = doctor("secret-key").findings["secret-key"]
    assert found["level"] == "fail"
    assert "aaaa" not in str(found)


def test_the_connection_to_a_far_database_should_be_encrypted(
    doctor: Doctor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query, level in (("", "warn"), ("?sslmode=verify-full", "pass")):
        engine = create_engine(f"postgresql+psycopg://u:p@db.example.com/app{query}")
        monkeypatch.setitem(db.engines, None, engine)
        assert doctor("database-encryption").levels() == {"database-encryption": level}


def test_people_read_a_line_per_check_and_its_fix(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "doctor", "--only", "credentials", "--only", "pool"])

    assert result.exit_code == 2
    assert "fail  credentials " in result.stdout
    assert "fix: use your own from https://console.upstash.com" in result.stdout
    assert result.stdout.endswith("\n1 pass, 1 fail\n")


def test_an_unknown_check_is_refused_with_those_that_there_are(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "doctor", "--only", "everything"])

    assert result.exit_code == 2
    assert "unknown check 'everything'; known: settings, logging, base-url" in result.stderr


def test_a_family_adds_checks_and_a_broken_or_silent_one_is_a_failure(
    doctor: Doctor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    bp = Blueprint("extra", __name__)

    @doctors.check(bp, "broken")
    def broken() -> Finding:
        raise KeyError("nothing")

    @doctors.check(bp, "silent")
    def silent() -> Finding:
        time.sleep(3)
        return doctors.passed("at last")

    app.register_blueprint(bp)
    monkeypatch.setattr(examination, "LIMIT", 0.5)

    said = doctor("broken", "silent").findings
    assert said["broken"]["said"] == "the check itself failed: KeyError: 'nothing'"
    assert said["silent"]["said"].startswith("no answer within")


def test_needs_of_checks_that_are_not_asked_keep_nobody_waiting(doctor: Doctor) -> None:
    assert doctor("payloads").levels() == {"payloads": "pass"}


def test_fault_R13_jobs_that_qstash_does_not_take_are_told(doctor: Doctor, app: Flask) -> None:
    """It answers everything else, so that only the jobs show it."""
    app.config["JOBS_PUBLISH_TIMEOUT"] = 0.5
    assert doctor("outbox").levels() == {"outbox": "pass"}
    enqueue("sample", {"action": "none"})
    db.session.execute(
        db.text(
            "UPDATE job_executions SET created_at = now() - interval '11 min',"
            " published_at = NULL, message_id = NULL"
        )
    )
    db.session.commit()

    found = doctor("outbox").findings["outbox"]
    assert found["level"] == "fail"
    assert found["said"].startswith("1 jobs wait to be published, the oldest for 11")


def test_fault_A22_secrets_that_the_source_code_shows_fail_the_checklist(
    doctor: Doctor, app: Flask
) -> None:
    app.config.update(
        SECRET_KEY=DEVELOPMENT["SECRET_KEY"],
        JOBS_ENCRYPTION_KEYS=f"mine,{DEVELOPMENT['JOBS_ENCRYPTION_KEYS']}",
        STRIPE_WEBHOOK_SECRET=DEVELOPMENT["STRIPE_WEBHOOK_SECRET"],
        WEBHOOK_GITHUB_SECRET="my own",
        WEBHOOK_RESEND_SECRET="",
    )
    said = doctor("published-secrets")

    assert said.levels() == {"published-secrets": "fail"}
    assert said.findings["published-secrets"]["said"].startswith(
        "SECRET_KEY, JOBS_ENCRYPTION_KEYS, STRIPE_WEBHOOK_SECRET: "
    )
