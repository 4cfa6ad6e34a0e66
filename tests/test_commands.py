"""`flask jobs` as a plugin: its help is the app's own, and needs no app."""

import subprocess
import sys
from pathlib import Path

from click import Context
from flask import Flask

ROOT = Path(__file__).parent.parent
#: What takes most of the time of making an app; none of it is needed to print a help.
HEAVY = "app.jobs sqlalchemy psycopg marshmallow aiohttp yarl httpx qstash stripe resend"

FLASK = """
import gc
import sys
from flask.cli import FlaskGroup
from app.commands import jobs
from app.local_qstash.cli import qstash
cli = FlaskGroup(name="flask", add_default_commands=False)
cli.add_command(jobs)
cli.add_command(qstash)
try:
    cli.main(sys.argv[1:], prog_name="flask")
finally:
    print("collecting:", gc.isenabled(), "frozen:", gc.get_freeze_count() > 0, file=sys.stderr)
    print(*(set(sys.modules) & set("%s".split())), file=sys.stderr)
"""


def flask(*args: str, app: str = "wsgi") -> "subprocess.CompletedProcess[str]":
    """Run Flask's command with both plugins, also where an older app is installed."""
    command = [sys.executable, "-c", FLASK % HEAVY, "--app", app, *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_the_help_is_the_same_as_the_apps_own(app: Flask) -> None:
    own = app.cli.commands["jobs"].get_help(
        Context(app.cli.commands["jobs"], info_name="flask jobs")
    )

    assert flask("jobs", "--help").stdout.strip() == own.strip()


def test_helps_load_neither_an_app_nor_what_it_uses() -> None:
    for args in (["jobs", "--help"], ["jobs"], ["qstash", "dev", "--help"]):
        assert flask(*args).stderr.split("\n")[-2] == "", args


def test_a_command_is_run_by_the_group_of_the_app() -> None:
    done = flask("jobs", "types")
    assert done.returncode == 0, done.stderr
    assert "send-email" in done.stdout
    assert "collecting: True frozen: True" in done.stderr  # spared what it loaded, and no more

    mistaken = flask("jobs", "typos")
    assert mistaken.returncode == 2
    assert "No such command 'typos'" in mistaken.stderr


def test_an_app_without_the_extension_says_so(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from flask import Flask\napp = Flask(__name__)\n")

    done = flask("jobs", "list", app=str(tmp_path / "bare.py"))

    assert done.returncode == 2
    assert "This app has no jobs" in done.stderr


def test_the_address_of_another_database_is_answered_with_a_sentence(tmp_path: Path) -> None:
    """Whatever SQLAlchemy misses first, and without the secrets in the address."""
    (tmp_path / "other.py").write_text(
        "from flask import Flask\n"
        "from flask_sqlalchemy import SQLAlchemy\n"
        "app = Flask(__name__)\n"
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'mysql://ana:secret@db.example/shop'\n"
        "db = SQLAlchemy(app)\n"
    )

    done = flask("jobs", "list", app=str(tmp_path / "other.py"))

    assert done.returncode == 2
    assert "jobs need PostgreSQL through psycopg 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
