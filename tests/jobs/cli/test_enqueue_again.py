"""`flask jobs enqueue-again`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner

from app.jobs import JobExecution, enqueue
from app.jobs.operate import audit
from app.jobs.operate.again import payload_of
from tests.support.rows import add_row, count_rows, row_of
from tests.support.sealed_jobs import bp

LETTER = {
    "to": "ann",
    "link": "https://acme.example/5f1d7a84",
    "parts": [{"name": "a", "tokenValue": "t-1"}],
}


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(bp)
    return app


@pytest.fixture
def letter(app: Flask) -> str:
    return enqueue("send-letter", LETTER, user_id=7, organization_id=3, tags=["post"])


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Have the editor change one text for another; return the file with what it was given."""
    seen = tmp_path / "seen"

    def edits(old: str, new: str) -> Path:
        script = tmp_path / "editor"
        script.write_text(f'#!/bin/sh\ncp "$1" {seen}\nsed -i \'s|{old}|{new}|\' "$1"\n')
        script.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(script))
        return seen

    return edits


def again(cli: FlaskCliRunner, job_id: str, *args: str) -> Result:
    return cli.invoke(args=["jobs", "enqueue-again", job_id, *args])


def clear(row: JobExecution) -> Any:
    """Return what the handler would get, on the wire."""
    return payload_of(row)


def made(result: Result) -> JobExecution:
    assert result.exit_code == 0, result.output
    return row_of(result.stdout.split()[0])


def test_the_same_payload_makes_another_job_of_the_same_owner(
    cli: FlaskCliRunner, letter: str
) -> None:
    row = made(again(cli, letter, "--by", "ann"))

    assert row.job_id != letter
    assert clear(row) == LETTER
    assert "5f1d7a84" not in json.dumps(row.payload)
    assert (row.user_id, row.organization_id, row.tags) == (7, 3, ["post"])
    [entry] = audit.entries_of(row.job_id)
    assert (entry.actor, entry.action, entry.filter["again"]) == ("ann", "enqueue", letter)


def test_fields_are_set_and_secrets_stay(cli: FlaskCliRunner, letter: str) -> None:
    row = made(
        again(cli, letter, "--set", "to=7", "--set", "pin=7", "--set", "parts.0.name=b", "--tag=x")
    )

    assert clear(row) == {
        **LETTER,
        "to": "7",
        "pin": 7,
        "parts": [{"name": "b", "tokenValue": "t-1"}],
    }
    assert row.tags == ["x"]


def test_a_whole_payload_takes_its_place(cli: FlaskCliRunner, letter: str) -> None:
    row = made(again(cli, letter, "--payload", '{"to": "bob"}', "--user-id", "8"))

    assert (clear(row), row.user_id) == ({"to": "bob"}, 8)


def test_the_editor_shows_no_secret_and_keeps_those_that_are_left(
    cli: FlaskCliRunner, letter: str, editor: Any
) -> None:
    seen = editor('"ann"', '"bob"')

    row = made(again(cli, letter, "--edit"))

    assert clear(row) == {**LETTER, "to": "bob"}
    assert json.loads(seen.read_text()) == {
        "to": "ann",
        "link": "(sealed)",
        "parts": [{"name": "a", "tokenValue": "(sealed)"}],
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"ann"', "ann"), "not JSON: "),
        (('"ann"', "7"), "Invalid job payload for 'send-letter': to: Not a valid string"),
        (('"to": "ann",', '"pin": "(hidden)",'), "payload.pin still hides a value, as (hidden)"),
        (('"parts": \\[', '"parts": \\[{}, '), "payload.parts.1.tokenValue still hides a value"),
        (("nothing", "changed"), "nothing was enqueued: the editor saved nothing"),
    ],
)
def test_what_cannot_be_enqueued_changes_nothing(  # noqa: PLR0917 - fixtures
    cli: FlaskCliRunner,
    letter: str,
    editor: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    said: str,
) -> None:
    editor(*change)
    if change[0] == "nothing":
        monkeypatch.setenv("VISUAL", "true")

    result = again(cli, letter, "--edit")

    assert result.exit_code == 2, result.output
    assert said in result.output
    assert count_rows() == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "to"], "'to': write it like to=ann@example.com"),
        (["--set", "a..b=1"], "write it like"),
        (["--set", "to.x=1"], "--set to.x: the payload has no object or list at 'x'"),
        (["--set", "no.x=1"], "--set no.x: the payload has no object or list at 'no'"),
        (["--set", "parts.1.name=1"], "--set parts.1.name: the list has no item 1"),
        (["--set", "parts.-1.name=1"], "the list has no item -1"),
        (["--set", "other=1"], "other: Unknown field"),
        (["--payload", "[]"], "payload: Not an object: list"),
        (["--delay", "soon"], "delay: 'soon' is not a duration"),
    ],
)
def test_wrong_options_are_said_and_change_nothing(
    cli: FlaskCliRunner, letter: str, args: list[str], said: str
) -> None:
    result = again(cli, letter, *args)

    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
    assert count_rows() == 1
    assert audit.entries(limit=5) == []


def test_a_payload_that_cannot_be_read_needs_a_whole_one(cli: FlaskCliRunner, app: Flask) -> None:
    broken = add_row(job_type="send-letter", payload={"payload": 7})

    result = again(cli, broken, "--set", "to=ann")

    assert result.exit_code == 2
    assert f"the payload of job {broken} cannot be read: the envelope is broken" in result.output
    assert clear(made(again(cli, broken, "--payload", '{"to": "ann"}'))) == {"to": "ann"}


def test_a_type_that_is_gone_is_said_so(cli: FlaskCliRunner, app: Flask) -> None:
    result = again(cli, add_row(job_type="gone"))

    assert result.exit_code == 2
    assert "unknown job type 'gone'" in result.output
