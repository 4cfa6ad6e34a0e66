"""`make dev` while its code changes: what is new is there, and what is broken is waited for."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.dev.console import Console
from app.dev.reaper import ROOT
from app.dev.runner import Runner, answers
from app.dev.web import Watcher, Web
from app.embedded_postgres.server import Server
from app.ports import listen
from tests.support.project import copy_project
from tests.support.waiting import wait_until

Flask = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_project(tmp_path / "project")
    shutil.copy(ROOT / "gunicorn.conf.py", tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def log(project: Path) -> Iterator[Path]:
    """What `make dev` of a copy of this project says."""
    log = project / "dev.log"
    env = {**os.environ, "PYTHONPATH": str(project), "PORT": "0"}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.dev", "up"],
            cwd=project,
            env=env,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    wait_until(
        lambda: "Ctrl-C stops" in log.read_text() or process.poll() is not None, "a start", 120
    )
    yield log
    process.send_signal(signal.SIGINT)
    process.wait(60)
    Server(project / "instance" / "postgres").destroy()


@pytest.fixture
def flask(project: Path) -> Flask:
    def run(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "flask", *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_fault_K19_A5_a_new_family_is_loaded_and_a_broken_module_is_waited_for(
    project: Path, log: Path, flask: Flask
) -> None:
    def loads(number: int) -> None:
        wait_until(lambda: log.read_text().count("Booting worker") >= number, "a reload", 60)

    flask("jobs", "new", "sms", "send-sms", "--field", "to:str")
    loads(2)
    job_id = flask("jobs", "enqueue", "send-sms", json.dumps({"to": "+49301234567"})).split()[0]
    flask("jobs", "watch", job_id, "--timeout", "60")

    broken = project / "app/families/sms/half_written.py"
    broken.write_text("from nowhere import nothing\n")
    wait_until(lambda: "cannot start with this code" in log.read_text(), "the app's end", 60)
    url = re.findall(r"App       (http\S+)", log.read_text())[0]
    answer = httpx.get(url, headers={"Accept": "text/html"}, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert "No module named &#x27;nowhere&#x27;" in answer.text
    broken.unlink()
    started = log.read_text().count("Booting worker")
    loads(started + 1)
    flask("jobs", "watch", flask("jobs", "enqueue", "send-sms", '{"to": "+1"}').split()[0])
    assert httpx.get(f"{url}/healthz").status_code == 200

    settings = project / "gunicorn.conf.py"
    before = settings.read_text()
    settings.write_text("x = (\n")
    wait_until(lambda: log.read_text().count("cannot start with this code") > 1, "an end", 60)
    assert "was never closed" in httpx.get(url, timeout=10).text
    started = log.read_text().count("Booting worker")
    settings.write_text(before)
    loads(started + 1)


def test_a_change_is_told_once_and_only_when_the_writing_has_paused(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    watcher = Watcher(tmp_path)
    (tmp_path / "app" / "new.py").write_text("x = 1\n")
    (tmp_path / "app" / "notes.md").write_text("not code\n")

    assert watcher.changed() == []
    assert watcher.changed() == ["app/new.py"]
    assert watcher.changed() == []
    (tmp_path / "app" / "new.py").unlink()
    assert [watcher.changed(), watcher.changed()] == [[], ["app/new.py"]]


def test_a_change_while_gunicorn_is_starting_does_not_end_it() -> None:
    env = {**os.environ, "APP_ENV": "development", "DEV_INSTANCE": "reloaded",
           "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}  # fmt: skip
    with listen(0) as socket, Runner(Console(sys.stdout)) as runner:
        web = Web(runner, env, socket)
        ready = answers(f"{web.url}/healthz", "reloaded")
        web.reload()
        web.reload()

        # The signal ends it before it can deal with one, and later has it load the app again.
        wait_until(
            lambda: not web.has_ended() and web.process is not None and ready(web.process),
            "an answer",
        )
