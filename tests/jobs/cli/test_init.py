"""`flask jobs init` and `dev` where something is missing; tests/extension runs them whole."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.jobs.cli import dev
from tests.support.ports import reserved_port


def test_without_a_terminal_settings_are_shown_and_not_written(
    cli: FlaskCliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    shown = cli.invoke(args=["jobs", "init"])

    assert shown.exit_code == 0, shown.output
    assert not (tmp_path / ".env").exists()
    assert "deliveries go to https://app.example.com" in shown.output
    assert "they are there" in shown.output
    assert "in app.families" in shown.output


def test_without_the_extra_dev_names_it(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "find_spec", lambda _: None)

    refused = cli.invoke(args=["jobs", "dev"])

    assert refused.exit_code == 2
    assert "pip install 'flask-qstash-jobs[dev]'" in refused.output


def test_the_path_of_the_address_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "https://example.com/shop/")

    assert dev.settings(5001)["BASE_URL"] == "http://127.0.0.1:5001/shop"


def test_a_state_file_that_cannot_be_had_is_told_with_the_option_for_another(
    cli: FlaskCliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dev, "_stop_at_signals", lambda: None)
    taken = tmp_path / "taken.db"
    taken.write_text("no database at all " * 100)

    refused = cli.invoke(
        args=["jobs", "dev", "--qstash-port", str(reserved_port()), "--state", str(taken)]
    )

    assert refused.exit_code == 2
    assert "--port, --qstash-port and --state (or --memory) of its own" in refused.output
    assert f"Cannot use the state file {taken}" in capfd.readouterr().err


def test_settings_that_other_commands_lack_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in dev.settings(5001, 8081).items():
        monkeypatch.setenv(name, value)
    dev.tell_others(dev.settings(5001, 8081))
    assert not capsys.readouterr().out

    dev.tell_others(dev.settings(5001, 8082))
    assert capsys.readouterr().out.splitlines()[1:] == ["  export QSTASH_URL=http://127.0.0.1:8082"]


def test_what_is_registered_is_not_asked_for_again(
    cli: FlaskCliRunner, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(app.extensions, "jobs", replace(app.extensions["jobs"], families=None))

    shown = cli.invoke(args=["jobs", "init"]).output

    assert " registered. `flask jobs new` can write more" in shown
    assert "register each" not in shown


def test_other_commands_get_the_sweep_of_dev_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_SWEEP_EVERY", raising=False)
    assert dev.settings()["JOBS_SWEEP_EVERY"] == "10"

    monkeypatch.setenv("JOBS_SWEEP_EVERY", "30")
    assert dev.settings()["JOBS_SWEEP_EVERY"] == "30"
