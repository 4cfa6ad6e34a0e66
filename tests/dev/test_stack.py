"""`make dev` as a developer meets it: another terminal finds it, and Ctrl-C leaves nothing."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import DEV_QSTASH, running
from app.dev import credentials
from app.dev.reaper import ROOT
from app.dev.runner import RunnerError
from app.embedded_postgres.server import Server
from tests.support.waiting import wait_until

# A start ends by itself if it takes too long: no test is to lose patience before it does.
PATIENCE = 100
pytestmark = pytest.mark.timeout(3 * PATIENCE)

EMAIL = {"to": "ada@example.com", "template": "passwordChanged", "data": {"recipientName": "Ada"}}


class Dev:
    """A running `python -m app.dev up` with its own folder."""

    def __init__(self, instance: Path) -> None:
        self.instance = instance
        self.start()

    def start(self) -> None:
        self.log = self.instance.with_name(f"{time.monotonic_ns()}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "app.dev", "up", "--instance", self.instance],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_ready(self) -> dict[str, str]:
        wait_until(
            lambda: "Ctrl-C stops" in self.log.read_text() or self.process.poll() is not None,
            lambda: f"a start:\n{self.log.read_text()}",
            PATIENCE,
        )
        assert self.process.poll() is None, self.log.read_text()
        return running.settings(self.instance)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def one_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("dev") / "instance")
    try:
        yield dev
    finally:
        dev.stop()
        Server(dev.instance / "postgres").destroy()


@pytest.fixture
def dev(one_stack: Dev) -> Dev:
    """The stack that all these tests share: running, whatever the one before did."""
    if one_stack.process.poll() is not None:
        one_stack.start()
    one_stack.await_ready()
    return one_stack


def flask(*arguments: str, settings: dict[str, str]) -> str:
    """Run a command as in another terminal."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_enqueued_in_another_terminal_goes_all_the_way(dev: Dev) -> None:
    settings = dev.await_ready()
    enqueued = flask("jobs", "enqueue", "send-email", json.dumps(EMAIL), settings=settings)
    job_id = enqueued.split()[0]

    flask("jobs", "watch", job_id, "--timeout", "30", settings=settings)
    assert len(list((dev.instance / "mailbox").glob("*passwordChanged*.html"))) == 1
    assert "web      │ " in dev.log.read_text()
    assert stat.S_IMODE((dev.instance / "dev.json").stat().st_mode) == 0o600


def health(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:  # noqa: S310 - our own
        return dict(json.load(answer))


def test_fault_K20_A9_after_ctrl_c_nothing_runs_and_the_next_start_is_the_same(dev: Dev) -> None:
    """It says whose it is, and keeps its database and its credentials."""
    before = dev.await_ready()
    said = [health(before[name])["instance"] for name in ("BASE_URL", "QSTASH_URL")]
    dev.stop()

    assert said == [before["DEV_INSTANCE"]] * 2
    assert running.settings(dev.instance) == {}
    assert not Server(dev.instance / "postgres").is_running()
    dev.start()
    after = dev.await_ready()
    assert not [
        name for name in DEV_QSTASH if "URL" not in name and before[name] == DEV_QSTASH[name]
    ]
    kept = ("DATABASE_URL", "DEV_INSTANCE", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    mode = (dev.instance / "credentials.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_goes_on(dev: Dev) -> None:
    settings = dev.await_ready()
    second = Dev(dev.instance)

    assert second.process.wait(timeout=60) == 1
    assert f"Already running, at {settings['BASE_URL']}" in second.log.read_text()
    assert running.settings(dev.instance) == settings


@pytest.mark.parametrize("command", ["destroy", "stop"])
def test_fault_A22_a_running_stack_loses_nothing(dev: Dev, command: str) -> None:
    settings = dev.await_ready()
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app.dev", command, "--instance", dev.instance],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert f"Already running, at {settings['BASE_URL']}" in done.stderr
    assert Server(dev.instance / "postgres").is_running()


def test_fault_A22_two_starts_at_the_same_moment_are_one(dev: Dev) -> None:
    """The second is told so at once, and not when the first is up."""
    dev.stop()
    first, second = Dev(dev.instance), Dev(dev.instance)

    try:
        # Whichever came first.
        wait_until(lambda: {first.process.poll(), second.process.poll()} != {None}, "a refusal")
        loser, winner = (first, second) if first.process.poll() is not None else (second, first)
        said = loser.log.read_text()
        assert "Already running, and is still starting; stop that one first." in said
        winner.await_ready()
    finally:
        first.stop()
        second.stop()


def test_fault_K20_A9_foreign_clients_have_the_published_credentials_on_request(
    tmp_path: Path,
) -> None:
    published = credentials.settings(tmp_path, {"QSTASH_DEV_CREDENTIALS": "published"})
    given = credentials.settings(tmp_path, {"QSTASH_TOKEN": "mine"})

    assert {**published, **DEV_QSTASH} == {**published, "QSTASH_URL": DEV_QSTASH["QSTASH_URL"]}
    assert given["QSTASH_TOKEN"] == "mine"
    assert given["QSTASH_CURRENT_SIGNING_KEY"] != published["QSTASH_CURRENT_SIGNING_KEY"]
    with pytest.raises(RunnerError, match="must be own"):
        credentials.settings(tmp_path, {"QSTASH_DEV_CREDENTIALS": "mine"})


def test_a_file_left_by_a_machine_that_lost_power_is_not_believed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "dev.json").write_text(json.dumps({"pid": dead.pid, "BASE_URL": "x"}))

    assert running.settings(tmp_path) == {}
