"""`flask artifacts …`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from app import artifacts
from app.db import db
from app.jobs import Job
from tests.artifacts.stores import held

Make = Callable[..., artifacts.Artifact]


def test_files_are_listed_newest_first(cli: FlaskCliRunner, made: Make, job: Job) -> None:
    made("old.csv")
    made("new.csv", data=b"x" * 1_234_567, job=job)

    lines = cli.invoke(args=["artifacts", "list"]).stdout.splitlines()
    assert lines[1].split()[1:5] == ["new.csv", "1.2", "MB", "3"]
    assert lines[2].split()[1:5] == ["old.csv", "7", "B", "-"]
    only = cli.invoke(args=["artifacts", "list", "--job", job.id, "--organization", "3", "--json"])
    assert [found["name"] for found in json.loads(only.stdout)] == ["new.csv"]


def test_no_files_is_said(cli: FlaskCliRunner) -> None:
    assert cli.invoke(args=["artifacts", "list"]).stdout == "No files.\n"


def test_a_file_is_shown_whole(cli: FlaskCliRunner, made: Make) -> None:
    artifact = made()

    assert artifact.sha256 in cli.invoke(args=["artifacts", "show", artifact.id]).stdout
    shown = json.loads(cli.invoke(args=["artifacts", "show", artifact.id, "--json"]).stdout)
    assert (shown["name"], shown["size"], shown["key"]) == ("users.csv", 7, artifact.key)


def test_a_link_is_made(cli: FlaskCliRunner, client: FlaskClient, made: Make) -> None:
    url = cli.invoke(args=["artifacts", "link", made().id, "--hours", "1"]).stdout.strip()

    assert client.get(urlsplit(url).path, buffered=True).data == b"id\r\n1\r\n"


def test_no_link_is_made_to_what_expired(cli: FlaskCliRunner, made: Make) -> None:
    artifact = made()
    artifact.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    db.session.commit()

    result = cli.invoke(args=["artifacts", "link", artifact.id])
    assert (result.exit_code, "expired at" in result.stderr) == (2, True)


def test_a_file_is_deleted_once_that_is_confirmed(cli: FlaskCliRunner, made: Make) -> None:
    artifact_id = made().id

    assert cli.invoke(args=["artifacts", "delete", artifact_id], input="n\n").exit_code == 1
    assert len(held()) == 1
    result = cli.invoke(args=["artifacts", "delete", artifact_id, "--yes"])
    assert (result.stdout, held()) == ("Deleted users.csv.\n", [])


@pytest.mark.parametrize("command", ["show", "link", "delete"])
def test_an_unknown_file_is_said_in_one_line(cli: FlaskCliRunner, command: str) -> None:
    result = cli.invoke(args=["artifacts", command, str(uuid4())])

    assert result.exit_code == 2
    assert "`flask artifacts list` shows the newest" in result.stderr
