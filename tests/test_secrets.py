"""Secrets stay where they are: a long day of an app, and then a search of everything it wrote.

Each secret has a value that is found nowhere else. What is searched are all lines logged at DEBUG,
as JSON, stdout and stderr, the answers to requests, the output of commands, and all rows.
"""

import base64
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import create_engine

from app import create_app
from app.api import keys
from app.config import ConfigError, load
from app.db import db
from app.jobs import enqueue, status_url
from app.jobs.errors import InvalidPayload, PublishRefused
from app.jobs.testing import deliver
from app.logs import handler
from tests.support import sealed_jobs
from tests.support.apps import settings
from tests.support.http_server import HttpServer, Reply
from tests.support.publishing import publishing
from tests.support.tables import table_names

FERNET = Fernet.generate_key().decode()
SECRETS = {
    "SECRET_KEY": "canary-secret-key-0123456789abcdef0123",
    "QSTASH_TOKEN": "canary-qstash-token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_canary_current_012345678901234567",
    "QSTASH_NEXT_SIGNING_KEY": "sig_canary_next_012345678901234567890",
    "RESEND_API_KEY": "re_canary_key",
    "STRIPE_SECRET_KEY": "sk_test_canary",
    "STRIPE_WEBHOOK_SECRET": "whsec_canary_stripe",
    "WEBHOOK_GITHUB_SECRET": "canary-github-secret",
    "WEBHOOK_RESEND_SECRET": f"whsec_{base64.b64encode(b'canary resend secret 24+').decode()}",
    "ALERT_WEBHOOK_SECRET": f"whsec_{base64.b64encode(b'canary alerts secret 24+').decode()}",
    "ADMIN_TOKEN": "canary-admin-token-0123456789abcdef",
    "JOBS_ENCRYPTION_KEYS": FERNET,
}
#: In payloads, requests and addresses.
LINK = "https://app.example.com/reset?token=canary-reset-token"
PIN = "80808019"
GIVEN = {
    "sealed link": "canary-reset-token",
    "sealed pin": PIN,
    "wrong key": "canary-wrong-key",
    "wrong link": "canary-wrong-link",
    "forged body": "canary-forged-body",
    "password of a database": "canary-database-password",
}


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    app = create_app({**settings(database_url), **SECRETS}, instance=tmp_path)
    app.config["RESEND_API_URL"] = "http://127.0.0.1:9"
    app.register_blueprint(sealed_jobs.bp)
    with app.app_context():
        yield app
        db.session.rollback()
        names = ", ".join(table_names())
        db.session.execute(db.text(f"TRUNCATE {names} CASCADE"))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
        app.extensions["jobs"].publisher.close()


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Every line, also of libraries, as production writes it."""
    written, root = StringIO(), logging.getLogger()
    made, level = handler(written, as_json=True), root.level
    root.addHandler(made)
    root.setLevel("DEBUG")
    yield written
    root.removeHandler(made)
    root.setLevel(level)


def test_no_secret_is_ever_written(
    app: Flask,
    log: StringIO,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    api_key, _ = keys.create("test", keys.SCOPES)

    seen = {
        "jobs": jobs_that_fail(app),
        "answers": strangers(app, api_key),
        "commands": commands(app),
        "settings": wrong_settings(monkeypatch, tmp_path),
        "rows": rows(),
        "outage": no_database(app, monkeypatch),
    }
    seen["log"] = log.getvalue()
    assert all(seen.values())
    seen["output"] = "".join(capfd.readouterr())
    assert '"message": "[jobs] Job processing failed"' in seen["log"]
    secrets = {**SECRETS, **GIVEN, "API key": api_key[16:]}
    found = [
        (name, where) for name, secret in secrets.items() for where in seen if secret in seen[where]
    ]
    assert found == []


def jobs_that_fail(app: Flask) -> str:
    """Have handlers fail over what is sealed, publishing fail, and payloads be refused."""
    email = {
        "to": "ann@example.com",
        "template": "passwordReset",
        "data": {"recipientName": "Ann", "resetUrl": LINK},
    }
    answers = [deliver(enqueue("send-email", email, retries=0)).text]
    for kind in ("whole", "path", "quoted", "chained", "later", "query", "commit"):
        job_id = enqueue("send-letter", {"to": kind, "link": LINK, "pin": int(PIN)}, retries=0)
        answers.append(deliver(job_id).text)
    with pytest.raises(InvalidPayload) as caught:
        enqueue("send-letter", {"to": "x", "link": f"{LINK}&bad"})
    with HttpServer() as qstash, publishing(app, QSTASH_URL=qstash.url):
        qstash.reply = Reply(400)
        with pytest.raises(PublishRefused) as refused:
            enqueue("send-letter", {"to": "x", "link": LINK})
    return "".join([*answers, str(caught.value), str(refused.value)])


def strangers(app: Flask, api_key: str) -> str:
    """Send what is wrong in every way, and what is right."""
    client = app.test_client()
    wrong = {"Authorization": "Bearer jobkey_00000000_canary-wrong-key"}
    forged = {"json": {"type": "x", "secret": "canary-forged-body"}}
    job_id = enqueue("send-letter", {"to": "y", "link": LINK})
    good = {"Authorization": f"Bearer {api_key}"}
    body = {"type": "send-letter", "payload": {"to": "z", "link": LINK, "pin": int(PIN)}}
    answers = [
        client.get("/api/jobs", headers=wrong),
        client.get("/api/admin/job-health", headers={"Authorization": "Bearer canary-wrong-key"}),
        client.get(f"/api/jobs/{job_id}?token=canary-wrong-link"),
        client.get("/api/artifacts/canary-wrong-link"),
        client.post("/api/jobs/email", **forged, headers={"Upstash-Signature": "canary-wrong-key"}),
        client.post("/api/stripe/webhook", **forged, headers={"Stripe-Signature": "t=1,v1=x"}),
        client.post("/api/webhooks/github", **forged, headers={"X-Hub-Signature-256": "sha256=x"}),
        client.post("/api/webhooks/resend", **forged),
        client.post("/api/jobs", json=body, headers=good),
        client.get("/api/jobs", headers=good),
        client.get(f"/api/jobs/{job_id}", headers=good),
        client.get(status_url(job_id).removeprefix(app.config["BASE_URL"])),
        client.get("/api/openapi.json"),
        client.get("/api/admin/job-health", headers=good),
        client.get("/readyz"),
    ]
    return "".join(f"{answer.headers}{answer.text}" for answer in answers)


def commands(app: Flask) -> str:
    """Look at it all on the command line."""
    run = app.test_cli_runner().invoke
    job_id = enqueue("send-letter", {"to": "w", "link": LINK, "pin": int(PIN)})
    lines = [
        ["jobs", "list"], ["jobs", "list", "--json"], ["jobs", "show", job_id],
        ["jobs", "show", job_id, "--json"], ["jobs", "types", "--json"], ["jobs", "check"],
        ["jobs", "doctor", "--json"], ["jobs", "health"], ["jobs", "apikey", "list", "--json"],
        ["jobs", "run", "send-letter", f'{{"to": "whole", "link": "{LINK}"}}'],
        ["jobs", "retry", job_id, "--yes"], ["webhooks", "list"], ["routes"],
    ]  # fmt: skip
    return "".join(run(args=line).output for line in lines)


def wrong_settings(monkeypatch: pytest.MonkeyPatch, instance: Path) -> str:
    """Start with settings that are secrets, and wrong."""
    with monkeypatch.context() as environment:
        for name in SECRETS:
            environment.setenv(name, "canary-wrong-key")
        environment.setenv("APP_ENV", "production")
        environment.setenv("DATABASE_URL", "mysql://u:canary-database-password@x/y")
        with pytest.raises(ConfigError) as caught:
            load(instance)
    return caught.value.format_message()


def rows() -> str:
    """Return all that the database has in clear."""
    db.session.rollback()
    names = table_names()
    query = " UNION ALL ".join(
        f"SELECT to_jsonb({name})::text FROM {name}"  # noqa: S608 - our own names
        for name in names
    )
    return "".join(db.session.scalars(db.text(query)))


def no_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lose the database, whose address has a password in it."""
    away = create_engine("postgresql+psycopg://u:canary-database-password@127.0.0.1:9/x")
    with monkeypatch.context() as patch:
        patch.setitem(db.engines, None, away)
        answers = [app.test_client().get(path) for path in ("/readyz", "/api/admin/job-health")]
        said = app.test_cli_runner().invoke(args=["jobs", "list"]).output
    return "".join([said, *(answer.text for answer in answers)])
