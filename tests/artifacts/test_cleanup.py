"""What crashes and rollbacks leave behind is found, and nothing else is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import artifacts
from app.artifacts.stores import local_folder
from app.db import db
from app.jobs import Job
from tests.artifacts.stores import content, held, running_job

Make = Callable[..., artifacts.Artifact]
ANY_AGE = timedelta(0)
WRITER = Path(__file__).with_name("writer_process.py")


def killed_writer(app: Flask, job: Job) -> dict[str, Any]:
    """Run the writer, kill it with SIGKILL, and return the state that it suspended."""
    names = [name for name in app.config if name.startswith(("ARTIFACTS_", "SQLALCHEMY_DATABASE"))]
    settings = {name: app.config[name] for name in names}
    given = {"settings": settings, "instance": app.instance_path, "job_id": job.id}
    command = [sys.executable, str(WRITER), json.dumps(given)]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:  # type: ignore[call-overload]  # noqa: S603 - ours
        said = process.stdout.readline()
        process.kill()
    found: dict[str, Any] = json.loads(said)
    return found


def test_kill_9_leaves_only_orphans_and_what_the_job_still_needs(store: Flask, job: Job) -> None:
    state = killed_writer(store, job)

    kept = [name for name in held() if job.id in name]
    assert artifacts.remove_orphans(ANY_AGE) == 3  # torn, completed, and the working folder
    assert held() == kept
    with artifacts.resume(state) as file:
        file.write(b"second")
    assert content(file.artifact) == b"x" * 9 * 1024 * 1024 + b"firstsecond"


def test_a_file_whose_row_rolled_back_is_an_orphan(store: Flask, made: Make) -> None:
    kept = made()
    with artifacts.create("lost.csv", media_type="text/csv") as file:
        file.write(b"12345")
    lost = file.artifact.key
    db.session.rollback()

    (orphan,) = artifacts.orphans(ANY_AGE)
    assert (orphan.place.endswith(lost), orphan.size) == (True, 5)
    assert artifacts.remove_orphans(ANY_AGE) == 1
    assert content(kept)
    assert len(held()) == 1


def test_young_files_are_left_to_whoever_writes_them(store: Flask, made: Make) -> None:
    made()
    db.session.delete(db.session.scalars(db.select(artifacts.Artifact)).one())
    db.session.commit()

    assert list(artifacts.orphans()) == []
    assert len(list(artifacts.orphans(ANY_AGE))) == 1


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"status": "pending"}, 0),
        ({"status": "processing"}, 0),
        ({"status": "failed"}, 0),
        ({"status": "failed", "dead_at": datetime.now(UTC)}, 1),
        ({"status": "completed"}, 1),
        ({"status": "cancelled"}, 1),
    ],
)
def test_what_a_living_job_wrote_is_never_an_orphan(
    app: Flask, columns: dict[str, Any], found: int
) -> None:
    job = running_job(**columns)
    with artifacts.create("a.csv", media_type="text/csv", job=job) as file:
        file.suspend()

    assert len(list(artifacts.orphans(ANY_AGE))) == found


def test_files_that_are_not_ours_are_left_alone(app: Flask, made: Make) -> None:
    made()
    notes = next(local_folder().glob("??")) / "notes.txt"
    notes.write_text("mine")

    assert list(artifacts.orphans(ANY_AGE)) == []


def test_expired_files_are_removed_in_batches(store: Flask, made: Make) -> None:
    kept = made()
    for _ in range(3):
        made().expires_at = datetime.now(UTC) - timedelta(seconds=1)
    db.session.commit()

    assert artifacts.remove_expired(2) == 2
    assert len(held()) == 4  # until it is committed
    db.session.commit()
    assert artifacts.remove_expired(2) == 1
    db.session.commit()
    assert artifacts.remove_expired(2) == 0
    assert [kept.id] == db.session.scalars(db.select(artifacts.Artifact.id)).all()
    assert len(held()) == 1


def test_a_file_that_cannot_be_removed_is_an_orphan_from_then_on(
    app: Flask, made: Make, caplog: pytest.LogCaptureFixture
) -> None:
    artifact = made()
    path = local_folder() / artifact.key
    path.unlink()
    path.mkdir()
    artifacts.delete(artifact)
    db.session.commit()

    assert "Files not removed" in caplog.text
    assert len(list(artifacts.orphans(ANY_AGE))) == 1
    assert artifacts.remove_orphans(ANY_AGE) == 0
    assert "Orphan not removed" in caplog.text
