"""A process may die on any line that writes or talks: nothing is lost, nothing is done twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from app.db import Base

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(5400)  # all of them, on a machine that has other work
def test_dying_at_any_point_loses_and_doubles_nothing(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every point takes two processes; CRASH_EVERY=1 tries all of them, the suite every 16th."""
    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    every = os.environ.get("CRASH_EVERY", "16")
    command = [sys.executable, "-m", "tests.crash.harness", database_url, "--every", every]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    with capsys.disabled():
        print(f"\n{done.stdout.splitlines()[-1] if done.stdout else done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_dying_at_any_point_of_a_firing_leaves_it_one_job(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    every = os.environ.get("CRASH_EVERY", "16")
    command = [sys.executable, "-m", "tests.crash.firings", database_url, every]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    with capsys.disabled():
        print(f"\n{done.stdout or done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
