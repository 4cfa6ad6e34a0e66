"""The units of systemd that docs/deploy.md has people copy."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT

UNITS = ROOT / "docs/deploy"
SERVICE = (UNITS / "jobs.service").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    shutil.copy(UNITS / "jobs.socket", tmp_path)
    here = SERVICE.replace("/srv/jobs/current/.venv/bin/gunicorn", sys.executable)
    (tmp_path / "jobs.service").write_text(here)

    command = ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert (done.returncode, done.stderr) == (0, "")


def test_a_stop_leaves_running_jobs_the_time_that_they_are_promised() -> None:
    graceful = re.search(
        r'"GUNICORN_GRACEFUL_TIMEOUT", "(\d+)"', (ROOT / "gunicorn.conf.py").read_text()
    )
    stop = re.search(r"TimeoutStopSec=(\d+)", SERVICE)

    assert graceful is not None
    assert stop is not None
    assert int(stop[1]) > int(graceful[1])
