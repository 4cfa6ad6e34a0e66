"""A short run of `make chaos`: everything is killed under load, nothing is lost or done twice."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled_while_everything_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.chaos.run",
        "--jobs",
        "400",
        "--batches",
        "2",
        "--children",
        "25",
    ]
    command += ["--pause", "0.5"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    with capsys.disabled():
        print(f"\n{done.stdout.splitlines()[-1] if done.stdout else done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
