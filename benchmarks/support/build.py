"""A build of this project, this one or another checkout, whose operations are measured in CPU time.

Needs Linux, whose /proc tells what each process used.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from app.ports import free_port
from tests.support.qstash import BASE_URL, claims_for, token

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent

#: What a delivery costs, in steps: each does what the one before does, and more.
VIEWS = {
    "empty view": "/floor/empty",
    "verified": "/floor/verified",
    "bare": "/floor/bare",
    "delivery": "/api/jobs/noop",
}


class Cost(NamedTuple):
    """CPU milliseconds of one operation."""

    app: float
    postgres: float

    @property
    def sum(self) -> float:
        return self.app + self.postgres


class Build:
    """One checkout's code, with a database and processes of its own."""

    def __init__(self, name: str, path: Path, url: str, stack: ExitStack, qstash: str) -> None:
        self.name = name
        self._admin = stack.enter_context(
            psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        )
        port = free_port()
        env = {
            **os.environ,
            "APP_ENV": "test",
            "DATABASE_URL": url,
            "LOG_LEVEL": "ERROR",
            "QSTASH_URL": qstash,
            "BASE_URL": BASE_URL,
            "PORT": str(port),
            "GUNICORN_CMD_ARGS": "--log-level warning",
            "PYTHONPATH": f"{path}:{SUPPORT}",
        }
        self._driver = stack.enter_context(
            _process([sys.executable, str(SUPPORT / "one_build.py")], path, env)
        )
        self.ask("migrate")
        command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "one_build:served()"]
        self._gunicorn = stack.enter_context(_process([sys.executable, *command], path, env))
        _await_port(port)
        self._http = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, what: str, name: str = "-", count: int = 1) -> Any:
        """Have the process with the build's code do something."""
        assert self._driver.stdin
        assert self._driver.stdout
        self._driver.stdin.write(f"{what} {name} {count}\n".encode())
        self._driver.stdin.flush()
        return json.loads(self._driver.stdout.readline())

    def run(self, name: str, count: int) -> Cost:
        """Do something in one process so many times."""
        before = self._postgres()
        spent = self.ask("cpu", name, count)
        return Cost(1000 * spent / count, 1000 * (self._postgres() - before) / count)

    def post(self, view: str, count: int) -> Cost:
        """Post jobs to a view under gunicorn."""
        path = VIEWS[view]
        bodies = [body.encode() for body in self.ask("record", count=count)]
        signed = [(body, token(claims_for(body, BASE_URL + path))) for body in bodies]
        self._http.close()  # gunicorn ends a connection that has been idle since the last time
        before, postgres_before = self._workers(), self._postgres()
        for body, signature in signed:
            headers = {
                "Content-Type": "application/json",
                "Upstash-Signature": signature,
                "Upstash-Message-Id": "msg_1",
            }
            self._http.request("POST", path, body, headers)
            answer = self._http.getresponse()
            said = answer.read()
            assert answer.status == 200, said
        spent, postgres = self._workers() - before, self._postgres() - postgres_before
        return Cost(1000 * spent / count, 1000 * postgres / count)

    def _workers(self) -> float:
        pid = self._gunicorn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(map(_cpu_seconds, children))

    def _postgres(self) -> float:
        """Return what the build's connections have used, but for the one that asks this."""
        pids = self._admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return sum(_cpu_seconds(str(pid)) for (pid,) in pids)


def _cpu_seconds(pid: str) -> float:
    """Return what all threads of a process have used, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextmanager
def _process(
    command: list[str], path: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def local_qstash() -> Iterator[str]:
    """Run the local QStash server in a separate process, as in development."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port", str(port)]
    silent = subprocess.DEVNULL  # it says of each delivery that nobody took it
    process = subprocess.Popen(command, cwd=ROOT, stdout=silent, stderr=silent)  # noqa: S603 - likewise
    try:
        _await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await_port(port: int) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answers on port {port}")
