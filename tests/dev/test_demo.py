"""`make demo`, the first command of README."""

import subprocess
import sys
from pathlib import Path

from app.dev.guardian import ROOT
from app.dev.postgres import Server


def test_the_demo_shows_nine_jobs_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app.dev", "demo", "--instance", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("✓") >= 9
        assert "Every job ended as it should" in done.stdout
        assert not list(tmp_path.rglob("postmaster.pid"))
    finally:
        Server(tmp_path / "demo" / "postgres").destroy()
