"""gunicorn with the project's settings, serving an app that tells what it was told."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from app.dev.reaper import ROOT
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

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
    wait_until(lambda: log.read_text().count("Booting worker") == 2, "the start of two workers")
    # Workers answer before the master has done all its setting up; this comes after that.
    server.send_signal(signal.SIGTTIN)
    wait_until(lambda: log.read_text().count("Booting worker") == 3, "a third worker")
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
    wait_until(lambda: "/download" in log.read_text(), "the request's line")

    get(port, "/api/artifacts/secret")
    wait_until(lambda: "/api/artifacts/" in log.read_text(), "the next request's line")

    assert "secret" not in log.read_text()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    access, _ = (line for line in lines if line["logger"] == "gunicorn.access")
    assert (access["method"], access["path"], access["status"]) == ("GET", "/download", 200)


def send(port: int, head: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
        return connection.recv(4096)


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def accesses(log: Path) -> list[dict[str, Any]]:
    return [line for line in lines_of(log) if line["logger"] == "gunicorn.access"]


@pytest.mark.parametrize(
    ("head", "status", "path"),
    [
        (b"GET /api/artifacts/s3cret?token=s3cret HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400,
         "/api/artifacts/(hidden)"),
        (b"GET / HTTP/1.1\r\nBad Name: 1\r\n\r\n", 400, "-"),
        (b"nonsense\r\n\r\n", 400, "-"),
        (b"GET /api/artifacts/s3cret HTTP/9.9\r\n\r\n", 400, "-"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "-"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: foo\r\n\r\n", 501, "-"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431, "-"),
    ],
    ids=["length", "header", "nonsense", "version", "long line", "coding", "long header"],
)  # fmt: skip
def test_fault_D8_what_gunicorn_refuses_has_an_access_line(
    log: Path, port: int, head: bytes, status: int, path: str
) -> None:
    assert send(port, head).startswith(f"HTTP/1.1 {status} ".encode())
    wait_until(lambda: accesses(log), "the request's line")

    [line] = accesses(log)
    assert line["status"] == status
    assert line["path"] in {path, "/"}
    assert "Traceback" not in log.read_text()
    assert "s3cret" not in log.read_text()
    assert all(len(str(line)) < 1000 for line in lines_of(log))


def test_connections_that_stay_open_take_no_thread_from_others(log: Path, port: int) -> None:
    """More than all workers have threads for, each with a second request after the first."""
    kept = [HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(40)]
    for _ in range(2):
        for connection in kept:
            connection.request("GET", "/kept")
            assert connection.getresponse().read() == b"http 127.0.0.1"

    for connection in kept:
        connection.close()


def test_fault_D9_no_form_of_a_path_shows_a_token(log: Path, port: int) -> None:
    paths = [
        "/api//artifacts/s3cret", "//api/artifacts/s3cret", "/api/artifacts//s3cret",
        "/api/%61rtifacts/s3cret", "/api/artifacts%2Fs3cret", "/api/artifacts%252Fs3cret",
        "/x/../api/artifacts/s3cret", "/API/Artifacts/s3cret", "/api/./artifacts/s3cret",
        "/api/artifacts%5Cs3cret", "/api/jobs/1%3Ftoken=s3cret", "/api/jobs/1;token=s3cret",
        "/api/jobs/token%3Ds3cret", "http://x/api/artifacts/s3cret",
    ]  # fmt: skip
    for path in paths:
        send(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    wait_until(lambda: len(accesses(log)) == len(paths), "a line for each request")

    assert "s3cret" not in log.read_text()


def test_there_is_no_control_socket_to_take_from_another_gunicorn(log: Path) -> None:
    assert list(log.parent.rglob("*.ctl")) == []
