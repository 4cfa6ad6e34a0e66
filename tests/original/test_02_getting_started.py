"""Getting Started: local development, and production's settings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from app.config import DEV_QSTASH, ConfigError, load
from app.db import db
from app.dev.reaper import ROOT
from app.jobs import JOB_TYPES, enqueue
from tests.original.stack import Stack
from tests.support.ports import reserved_port

QSTASH = ("QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")


def test_start_development_server() -> None:
    """`make dev` starts all of it, as tests/dev/test_stack.py tries; here, that it is offered."""
    makefile = (ROOT / "Makefile").read_text()

    assert re.search(r"^dev:", makefile, re.MULTILINE)


def test_copy_qstash_environment_variables() -> None:
    """The server prints the four; nothing has to be copied, as they are those of development."""
    port = str(reserved_port())
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port", port]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    assert process.stdout is not None
    printed: dict[str, str] = {}
    try:
        for line in process.stdout:
            name, _, value = line.strip().partition("=")
            printed |= {name: value} if name in QSTASH else {}
            if len(printed) == len(QSTASH):
                break
    finally:
        process.terminate()
        process.communicate(timeout=30)

    assert printed == {**DEV_QSTASH, "QSTASH_URL": f"http://127.0.0.1:{port}"}


def test_verify_setup(app: Flask, stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    job_id = enqueue(
        JOB_TYPES.SEND_EMAIL,
        {
            "template": "welcome",
            "to": "test@example.com",
            "data": {"recipientName": "Test User"},
        },
        user_id=1,
    )

    assert stack.email(job_id)["subject"] == "Welcome to Acme, Test User"
    lines = [line.message for line in caplog.records if vars(line).get("jobId") == job_id]
    assert sorted(lines) == [
        "[jobs] Enqueueing job",
        "[jobs] Job enqueued successfully",
        "[jobs] Job processed successfully",
        "[jobs] Processing job",
    ]
    assert lines[0] == "[jobs] Enqueueing job"
    assert lines.index("[jobs] Processing job") < lines.index("[jobs] Job processed successfully")


def test_configure_environment_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Production needs the token and both keys; the URL is Upstash's unless another is given."""
    for name in QSTASH:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APP_ENV", "production")

    with pytest.raises(ConfigError) as raised:
        load(tmp_path)

    assert set(QSTASH) & raised.value.problems.keys() == set(QSTASH[1:])


def test_run_database_migrations(app: Flask) -> None:
    """`flask db upgrade` has made the table that these tests run on."""
    assert db.session.scalar(db.text("SELECT to_regclass('job_executions')::text"))
