"""An export whose process is killed in the middle: retried, whole, and nothing is left over."""

from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from flask import Flask
from sqlalchemy import delete, text, update

from app import artifacts
from app.accounts.models import User
from app.artifacts import Artifact
from app.db import db
from app.families.exports.export_data import export_data
from app.families.exports.payload import ExportData
from app.jobs import JobExecution, Status
from tests.e2e.stack import Stack
from tests.support.rows import row_of

ROWS = 200_000
FILL = text(
    "INSERT INTO users (email, name)"
    " SELECT n || '@example.com', 'x' FROM generate_series(1, :rows) AS n"
)


@pytest.fixture
def store(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the files, which the running app is told, and the test's own."""
    folder = stack.folder / "files"
    stack.kill("web")
    stack.settings["ARTIFACTS_DIR"] = str(folder)
    stack.start_web()
    return folder


def test_an_export_that_is_killed_in_the_middle_is_retried_and_whole(
    stack: Stack, store: Path, producer: Flask
) -> None:
    db.session.execute(FILL, {"rows": ROWS})
    db.session.commit()
    payload = ExportData(entity_type="users", format="csv")
    with db.engine.connect() as somebody:
        # Somebody keeps files from being recorded, so that the export cannot come to its end.
        somebody.execute(text("LOCK TABLE artifacts IN SHARE MODE"))
        job_id = export_data.enqueue(payload, retries=50, retry_delay="10000")
        stack.await_that(lambda: row_of(job_id).progress, "progress")
        stack.kill("web")
        somebody.rollback()
    assert row_of(job_id).status == Status.PROCESSING
    let_the_lease_expire(job_id)
    stack.start_web()

    row = stack.final(job_id)
    assert (row.status, row.error) == (Status.COMPLETED, None)
    assert len(row.attempts) == 2
    lines = downloaded((row.result or {})["artifact"]["id"]).split(b"\r\n")
    assert [len(lines), len(set(lines))] == [ROWS + 2] * 2
    artifacts.remove_orphans(timedelta(0))
    assert len([path for path in store.rglob("*") if path.is_file()]) == 1
    db.session.execute(delete(User))
    db.session.commit()


def let_the_lease_expire(job_id: str) -> None:
    """Do what two minutes would."""
    expired = update(JobExecution).where(JobExecution.job_id == job_id)
    db.session.execute(expired.values(lease_expires_at=text("now()")))
    db.session.commit()


def downloaded(artifact_id: str) -> bytes:
    artifact = db.session.get(Artifact, artifact_id)
    assert artifact is not None
    with urlopen(artifacts.link(artifact)) as answer:  # noqa: S310 - our own URL
        return bytes(answer.read())
