"""The extension in an app that is not this one, from the files that its wheel ships."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.apps import fresh_database

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("databases", "schema"),
    [(1, ""), (1, "jobs"), (2, "")],
    ids=["one database", "jobs in a schema", "jobs in another database"],
)
def test_an_app_of_another_name_runs_jobs(
    database_server: str, package: Path, tmp_path: Path, databases: int, schema: str
) -> None:
    for name in ("host.py", "run.py"):
        shutil.copy(HERE / name, tmp_path)

    with ExitStack() as stack:
        names = [f"host_{os.getpid()}_{number}" for number in range(databases)]
        urls = [stack.enter_context(fresh_database(database_server, name)) for name in names]
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "run.py", *urls],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(package.parent),
                "SCHEMA": schema,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr
