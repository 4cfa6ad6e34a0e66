"""`flask qstash dev` in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLASK = Path(sys.executable).with_name("flask")


@contextmanager
def started(
    *options: str, cwd: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [FLASK, "qstash", "dev", "--port", "0", *options],
        cwd=cwd,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def announced(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read up to the line that says that it is ready."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if "is running at" in line:
            return dict(line.split("=", 1) for line in lines[:-1])
    raise AssertionError(process.stderr.read() if process.stderr else lines)
