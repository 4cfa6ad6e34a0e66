"""`flask jobs init` and `dev` where something is missing; tests/extension runs them whole."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.cli import ScriptInfo
from flask.testing import FlaskCliRunner
from flask_sqlalchemy import SQLAlchemy

from app import dev_settings
from app.jobs import Jobs
from app.jobs.cli import dev, dev_database, init
from app.jobs.errors import JobsNotInitialised
from app.ports import listen
from tests.support.apps import close_connections
from tests.support.ports import reserved_port
from tests.support.sealed_jobs import bp as sealed_jobs


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
    monkeypatch.chdir(tmp_path)
    taken = tmp_path / "taken.db"
    taken.write_text("no database at all " * 100)

    refused = cli.invoke(
        args=["jobs", "dev", "--qstash-port", str(reserved_port()), "--state", str(taken)]
    )

    assert refused.exit_code == 2
    assert "give --state (or --memory) of its own" in refused.output
    assert f"Cannot use the state file {taken}" in capfd.readouterr().err


def test_settings_that_other_commands_lack_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in dev.settings(5001, 8081).items():
        monkeypatch.setenv(name, value)
    dev.tell_others(dev.settings(5001, 8081), is_joined=False)
    assert not capsys.readouterr().out

    dev.tell_others(dev.settings(5001, 8082), is_joined=False)
    assert capsys.readouterr().out.splitlines()[1:] == ["  export QSTASH_URL=http://127.0.0.1:8082"]


def test_the_dashboard_s_address_is_told_where_the_app_has_one(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = dev.settings(5001, 8081)

    def seen() -> str | None:
        return dev.dashboard_address(ScriptInfo(create_app=lambda: app), needed)

    def broken() -> Flask:
        raise SystemExit("no")

    assert seen() == "http://127.0.0.1:5001/admin/jobs"
    monkeypatch.setitem(app.config, "JOBS_DASHBOARD", "off")
    assert seen() is None
    assert dev.dashboard_address(ScriptInfo(create_app=lambda: Flask("bare")), needed) is None
    assert dev.dashboard_address(ScriptInfo(create_app=broken), needed) is None
    assert "BASE_URL" not in os.environ or os.environ["BASE_URL"] != needed["BASE_URL"]


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


@pytest.mark.parametrize(
    "lookup",
    ["os.environ['DATABASE_URL']", "os.environ['SQLALCHEMY_DATABASE_URI']", "None", "'sqlite://'"],
)
def test_an_app_is_asked_whether_it_names_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lookup: str
) -> None:
    for name in dev_settings.DATABASE_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / f"{tmp_path.name}.py"
    module.write_text(
        "import os\nfrom flask import Flask\nfrom flask_sqlalchemy import SQLAlchemy\n"
        "app = Flask(__name__)\n"
        f"app.config['SQLALCHEMY_DATABASE_URI'] = {lookup}\n"
        "SQLAlchemy(app)\n"
    )
    info = ScriptInfo(app_import_path=tmp_path.name)

    assert dev_database.is_needed(info, {}) == (lookup != "'sqlite://'")
    assert not os.environ.keys() & set(dev_settings.DATABASE_NAMES)

    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/shop")
    assert not dev_database.is_needed(info, {})


def test_a_port_that_was_asked_for_and_is_taken_is_named(
    cli: FlaskCliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "_stop_at_signals", lambda: None)
    monkeypatch.chdir(tmp_path)
    with listen(0) as taken:
        port = taken.getsockname()[1]
        refused = cli.invoke(args=["jobs", "dev", "--port", str(port)])

    assert refused.exit_code == 2
    assert f"port {port} is taken: give another as --port, or leave it out" in refused.output


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings in the process, also when the test has ended, whatever it set."""
    for name in (*dev.settings(), "JOBS_ID_TYPE", "JOBS_ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(("command", "file"), [(["init", "--yes"], ".env"), (["dev"], "instance")])
def test_a_folder_that_cannot_be_written_to_is_named(
    cli: FlaskCliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    file: str,
) -> None:
    monkeypatch.setattr(dev, "_stop_at_signals", lambda: None)
    monkeypatch.setattr(init, "_app", lambda _: None)
    monkeypatch.chdir(tmp_path)
    Path(file).symlink_to("missing/folder")  # as root, a mode would not do

    refused = cli.invoke(args=["jobs", *command])

    assert refused.exit_code == 2
    assert f"cannot write {file}" in refused.output
    assert "run this in a folder that you may write to" in refused.output


@pytest.mark.usefixtures("unset")
def test_the_header_of_what_is_written_stands_once(
    cli: FlaskCliRunner, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "_kind_of_ids", lambda _: "uuid")
    monkeypatch.setattr(init, "_app", lambda _: app if "QSTASH_TOKEN" in os.environ else None)

    for _ in range(2):
        assert cli.invoke(args=["jobs", "init", "--yes"]).exit_code == 0

    written = (tmp_path / ".env").read_text()
    assert written.count("By `flask jobs init`") == 1
    assert written.count("JOBS_ID_TYPE=uuid") == 1


@pytest.mark.usefixtures("unset")
def test_an_app_that_seals_fields_gets_a_key(
    cli: FlaskCliRunner, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def made() -> Flask:
        app = Flask("bare")
        app.config["SQLALCHEMY_DATABASE_URI"] = database_url
        SQLAlchemy(app)
        Jobs(app)
        app.register_blueprint(sealed_jobs)
        apps.append(app)
        return app

    apps: list[Flask] = []
    said = []
    for _ in range(2):
        info = ScriptInfo(create_app=made)
        result = cli.invoke(init.init, ["--yes"], obj=info)
        assert result.exit_code == 0, result.output
        said.append(result.output)

    written = (tmp_path / ".env").read_text().splitlines()
    (key,) = [line.partition("=")[2] for line in written if line.startswith("JOBS_ENCRYPTION_KEYS")]
    Fernet(key)
    assert f"JOBS_ENCRYPTION_KEYS={key}" in said[0]
    assert key not in said[1]
    for one in apps:
        with one.app_context():
            close_connections()


@pytest.mark.usefixtures("unset")
def test_a_key_that_is_none_is_told_and_not_replaced(
    cli: FlaskCliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBS_ENCRYPTION_KEYS", "hunter2")

    def made() -> Flask:
        raise JobsNotInitialised("set JOBS_ENCRYPTION_KEYS, as job type 'memo' seals fields")

    result = cli.invoke(init.init, ["--yes"], obj=ScriptInfo(create_app=made))

    assert result.exit_code == 2
    assert "set JOBS_ENCRYPTION_KEYS" in result.output
    assert not (tmp_path / ".env").exists()
