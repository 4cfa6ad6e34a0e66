"""`flask jobs new`: a job type is written, and works as it stands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.jobs.errors import ScaffoldRefused
from app.jobs.scaffold import write
from app.jobs.scaffold.kinds import KINDS
from tests.support.project import ROOT, assert_passed, copy_project, run_python

SMS = ["sms", "send-sms", "--field", "to:str", "--field", "text:str"]
ALL_KINDS = [
    part
    for kind in KINDS
    for field in (f"a_{kind}:{kind}", f"other_{kind}:{kind}?")
    for part in ("--field", field)
]
# One process for all: each would have to import the whole app.
MAKE = """
import json, sys
from app import create_app
cli = create_app().test_cli_runner()
for arguments in json.loads(sys.argv[1]):
    result = cli.invoke(args=["jobs", "new", *arguments])
    print(result.output)
    assert result.exit_code == 0
"""


def test_the_sms_example_and_a_job_of_every_kind_of_field_work_as_they_are_written(
    tmp_path: Path, database_server: str
) -> None:
    """Into a new family, then into that same one; what is written is also well formatted."""
    copy_project(tmp_path)
    watched = tmp_path / "app/__init__.py"
    os.utime(watched, (0, 0))
    wanted = [SMS, ["sms", "try-all", *ALL_KINDS], ["sms", "do-nothing"]]
    made = run_python(tmp_path, database_server, "-c", MAKE, json.dumps(wanted))
    assert made.returncode == 0, made.stdout + made.stderr
    assert watched.stat().st_mtime > 0  # by which a reloader knows of the files that are new
    assert "-m pytest tests/families/sms/test_send_sms.py" in made.stdout

    shutil.copy(ROOT / "Makefile", tmp_path)
    os.utime(watched, (0, 0))
    later = run_python(tmp_path, database_server, "-c", MAKE, json.dumps([["sms", "come-later"]]))
    assert 'make test PYTEST_ARGS="tests/families/sms/test_come_later.py"' in later.stdout
    assert "--debug" not in later.stdout
    assert watched.stat().st_mtime == 0  # `make dev` sees new files

    done = run_python(tmp_path, database_server, "-m", "pytest", "-q", "tests/families/sms")
    kinds = len(KINDS)
    passed = (2 + 4) + (2 * kinds + 4) + 4 + 4

    assert_passed(done, passed)
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--config", str(ROOT / "pyproject.toml")]
        paths = ["app/families/sms", "tests/families/sms"]
        ran = subprocess.run(  # noqa: S603 - ours
            [*command, *paths], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Sms", "send-sms"], "FAMILY 'Sms'"),
        (["class", "send-sms"], "FAMILY 'class'"),
        (["../etc", "send-sms"], "FAMILY '../etc'"),
        (["sms", "send_sms"], "TYPE 'send_sms'"),
        (["sms", "x" * 61], "TYPE"),
        (["email", "send-email"], "job type 'send-email' already exists"),
        (["sms", "send-sms", "--field", "to"], "such as to:str"),
        (["sms", "send-sms", "--field", "to:strr"], "unknown type 'strr'; the types are str, int"),
        (["sms", "send-sms", "--field", "sentAt:date"], "a field name looks like phone_number"),
        (["sms", "send-sms", "--field", "if:str"], "if is a Python keyword"),
        (["sms", "send-sms", "--field", "to:str", "--field", "to:int"], "given twice"),
        (["sms", "send-sms", "--retries", "-1"], "--retries"),
    ],
)
def test_what_cannot_be_written_is_refused(
    cli: FlaskCliRunner, arguments: list[str], said: str
) -> None:
    result = cli.invoke(args=["jobs", "new", *arguments])

    assert result.exit_code == 2
    assert said in result.stderr
    assert not (ROOT / "app/families/sms").exists()


def test_a_dry_run_says_what_it_would_write(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "new", *SMS, "--dry-run", "--json"])

    assert json.loads(result.stdout)["files"] == [
        "tests/families/sms/__init__.py",
        "app/families/sms/__init__.py",
        "app/families/sms/send_sms.py",
        "tests/families/sms/test_send_sms.py",
    ]
    assert not (ROOT / "app/families/sms").exists()


def test_a_file_that_cannot_be_written_takes_the_others_back(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "there.py").write_text("mine")

    with pytest.raises(ScaffoldRefused, match="nothing was written"):
        write.write({tmp_path / "new.py": "x", tmp_path / "there.py": "y"})

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there.py": "mine"}
