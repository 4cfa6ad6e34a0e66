"""`flask jobs dev` with the reloader: however it ends, nothing that it started stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]


def running(marks: str) -> list[str]:
    """Return the commands of this machine in which a text is."""
    command = ["ps", "-A", "-ww", "-o", "args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - the system's
    return [line for line in listed.stdout.splitlines() if marks in line]


@pytest.mark.parametrize("sent", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_all_that_it_starts_ends_with_it(tmp_path: Path, sent: str) -> None:
    (tmp_path / "shop.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    ports = ["--port", str(reserved_port()), "--qstash-port", str(reserved_port())]
    command = [sys.executable, "-m", "flask", "--app", "shop", "--debug", "jobs", "dev", *ports]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    of_the_app, of_qstash = f"--port {ports[1]}", f"--port {ports[3]}"
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - ours
            [*command, "--memory"],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_until(lambda: len(running(f"run --host 127.0.0.1 {of_the_app}")) == 2, log.read_text)
        process.send_signal(getattr(signal, sent))

        assert process.wait(timeout=30) == (-signal.SIGKILL if sent == "SIGKILL" else 0)
        wait_until(
            lambda: not [*running(of_the_app), *running(f"dev {of_qstash}")],
            lambda: str(running(of_the_app)),
        )
    finally:
        os.killpg(process.pid, signal.SIGKILL) if running(of_the_app) else None
