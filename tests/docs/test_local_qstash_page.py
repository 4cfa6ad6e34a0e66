"""docs/local-qstash.md: its destination is served, and all its clients publish to it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.local_qstash.testing import LocalQStash
from tests.docs.pages import blocks
from tests.support.node_sdk import MODULES
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.waiting import wait_until

PAGE = blocks("docs/local-qstash.md")


@dataclass
class Trial:
    """A folder with the page's files, a server, and the page's destination, which prints."""

    folder: Path
    qstash: LocalQStash
    port: int

    def text(self, beginning: str, containing: str = "") -> str:
        """Return a block of the page, at this destination's address."""
        (found,) = (
            one.text for one in PAGE if one.text.startswith(beginning) and containing in one.text
        )
        return found.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{self.port}")

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def run(self, *command: str, **env: str) -> str:
        return subprocess.run(  # noqa: S603 - our own page
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, check=True
        ).stdout.decode()

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "QSTASH_URL": self.qstash.url,
            "QSTASH_TOKEN": self.qstash.token,
            "QSTASH_CURRENT_SIGNING_KEY": self.qstash.current_signing_key,
            "QSTASH_NEXT_SIGNING_KEY": self.qstash.next_signing_key,
        }

    def await_hello(self, who: str) -> None:
        log = self.folder / "log"
        wait_until(lambda: f"{{'hello': '{who}'}}" in log.read_text(), f"the message of {who}")


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with LocalQStash() as qstash, (tmp_path / "log").open("w") as log:
        trial = Trial(tmp_path, qstash, reserved_port())
        trial.write("receiver.py", trial.text("import os", "Receiver"))
        serve = [sys.executable, "-m", "flask", "--app", "receiver", "run", "--port"]
        server = subprocess.Popen(  # noqa: S603 - ours
            [*serve, str(trial.port)], cwd=tmp_path, env=trial.env, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{trial.port}/"), "the destination")
            yield trial
        finally:
            server.terminate()
            server.wait()


def test_curl_and_python_publish_to_the_destination(trial: Trial) -> None:
    trial.run("bash", "-c", trial.text("curl -X POST"))
    sent = trial.run(sys.executable, trial.write("trial.py", trial.text("import os", "client")))

    trial.await_hello("curl")
    trial.await_hello("Python")
    assert sent.strip() in trial.run("bash", "-c", trial.text('curl "$QSTASH_URL/v2/events'))


def test_faults_are_set_and_taken_away_while_it_runs(trial: Trial) -> None:
    setting, delete, taking_away = trial.text("curl -X PUT").partition("curl -X DELETE")

    trial.run("bash", "-c", setting)
    assert list(map(str, trial.qstash.faults.faults)) == ["duplicate=0.5"]
    trial.run("bash", "-c", delete + taking_away)
    assert trial.qstash.faults.faults == []


@pytest.mark.parametrize("credentials", ["given", "of development"])
def test_javascript_publishes_to_the_destination(trial: Trial, node: str, credentials: str) -> None:
    (trial.folder / "node_modules").symlink_to(MODULES)
    trial.write("trial.mjs", trial.text("import { Client }"))
    development = {"QSTASH_URL": "", "QSTASH_TOKEN": "", "QSTASH_DEV": "true"}
    port = trial.qstash.url.rpartition(":")[2]
    given = {**development, "QSTASH_DEV_PORT": port} if credentials != "given" else {}

    trial.run(node, "trial.mjs", **given)

    trial.await_hello("JavaScript")
