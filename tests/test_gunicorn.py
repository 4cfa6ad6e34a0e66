"""gunicorn with the project's settings, serving an app that tells what it was told."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dev.guardian import ROOT
from tests.dev.waiting import await_that
from tests.support.ports import reserved_port

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]
"""


@pytest.fixture
def port() -> int:
    return reserved_port()


@pytest.fixture
def log(tmp_path: Path, port: int) -> Iterator[Path]:
    """The log of a gunicorn that runs as in production."""
    (tmp_path / "wsgi.py").write_text(APP)
    log = tmp_path / "log"
    env = {"APP_ENV": "production", "PORT": str(port), "HOME": str(tmp_path), "PATH": os.defpath}
    with log.open("w") as file:
        server = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "gunicorn", "-c", ROOT / "gunicorn.conf.py"],
            cwd=tmp_path,
            env=env,
            stdout=file,
            stderr=file,
        )
    await_that(lambda: log.read_text().count("Booting worker") == 2, "the start of two workers")
    # Workers answer before the master has done all its setting up; this comes after that.
    server.send_signal(signal.SIGTTIN)
    await_that(lambda: log.read_text().count("Booting worker") == 3, "a third worker")
    yield log
    server.terminate()
    server.wait()


def get(port: int, path: str = "/", **headers: str) -> str:
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("log")
def test_what_a_request_says_of_its_origin_is_not_believed(port: int) -> None:
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=x"}

    assert get(port, **said) == "http 127.0.0.1"


def test_the_log_is_json_and_holds_no_query(log: Path, port: int) -> None:
    get(port, "/download?token=secret")
    await_that(lambda: "/download" in log.read_text(), "the request's line")

    get(port, "/api/artifacts/secret")
    await_that(lambda: "/api/artifacts/" in log.read_text(), "the next request's line")

    assert "secret" not in log.read_text()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    access, _ = (line for line in lines if line["logger"] == "gunicorn.access")
    assert (access["method"], access["path"], access["status"]) == ("GET", "/download", 200)


def test_there_is_no_control_socket_to_take_from_another_gunicorn(log: Path) -> None:
    assert list(log.parent.rglob("*.ctl")) == []
