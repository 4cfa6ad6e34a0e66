"""Measure what a job costs, in CPU time, beside the floor of the same work done by hand.

    python benchmarks/jobs.py [--rounds 9] [--count 100] [--against CHECKOUT]

Wall clock says little on a machine that does other things, too: this counts the CPU milliseconds of
the app's process and of its connections to PostgreSQL, in rounds in which all take turns, and
prints the median of the rounds. Only ratios mean something elsewhere:

- an enqueue in a session, beside the same INSERT through SQLAlchemy Core in that session;
- an enqueue on its own, and `enqueue_many` of 1,000, with the local QStash server;
- a delivery of a no-op job over HTTP to gunicorn, beside a view that only answers 200, and beside
  one that makes two bare psycopg statements in two transactions;
- each of these beside that of another checkout, such as the commit before a change:

    git worktree add /tmp/before HEAD~1 && python benchmarks/jobs.py --against /tmp/before

Needs Linux, whose /proc tells what each process used.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

ROOT = Path(__file__).parent.parent
SUPPORT = Path(__file__).parent / "support"
sys.path.insert(0, str(ROOT))

from app.dev.ports import free_port  # noqa: E402 - the path comes first
from app.dev.postgres import Server  # noqa: E402
from tests.support.qstash import BASE_URL, claims_for, token  # noqa: E402

IN_PROCESS = ("core_insert", "enqueue_in_session", "enqueue_alone")
VIEWS = {"empty view": "/floor/empty", "bare": "/floor/bare", "delivery": "/api/jobs/noop"}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=100, help="operations of one kind in a round")
    parser.add_argument("--against", type=Path, help="another checkout, to be measured beside")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o711)
        server = Server(Path(name) / "postgres")
        server.start()
        stack.callback(server.destroy)
        qstash = stack.enter_context(_qstash())
        paths = {"this build": ROOT} | ({"the other": given.against} if given.against else {})
        builds = [
            Build(each, path.resolve(), server.create_database(f"bench{index}"), stack, qstash)
            for index, (each, path) in enumerate(paths.items())
        ]
        _measure(builds, given.rounds, given.count)


def _measure(builds: list[Build], rounds: int, count: int) -> None:
    kinds: dict[str, Callable[[Build], Cost]] = {
        **{view: lambda build, view=view: build.post(view, count) for view in VIEWS},  # type: ignore[misc]  # mypy cannot infer a default's type
        **{name: lambda build, name=name: build.run(name, count) for name in IN_PROCESS},  # type: ignore[misc]  # likewise
        "enqueue_a_thousand": lambda build: build.run("enqueue_a_thousand", 1),
    }
    costs: dict[tuple[str, str], list[Cost]] = {}
    for number in range(rounds + 1):
        for kind, operation in kinds.items():
            for build in builds if number % 2 else reversed(builds):
                cost = operation(build)
                if number:  # the first warms up
                    costs.setdefault((kind, build.name), []).append(cost)
    _report(builds, costs)
    for name in ("deliver", "enqueue_in_session", "enqueue_alone"):
        counted = ", ".join(f"{build.name} {build.ask('round_trips', name)}" for build in builds)
        print(f"round trips to PostgreSQL, {name}: {counted}")


def _report(builds: list[Build], costs: dict[tuple[str, str], list[Cost]]) -> None:
    floors = {"delivery": "bare", "enqueue_in_session": "core_insert"}
    print(f"{'CPU ms each':20} {'build':10}    app  postgres    sum  spread   floor   other")
    for (kind, name), found in costs.items():
        own = statistics.median(cost.sum for cost in found)
        quarters = statistics.quantiles((cost.sum for cost in found), n=4)
        spread = f"{(quarters[2] - quarters[0]) / own:7.0%}"
        floor = _ratio(found, costs.get((floors.get(kind, ""), name)))
        other = _ratio(found, costs.get((kind, builds[-1].name)))
        app, postgres = (statistics.median(cost[part] for cost in found) for part in (0, 1))
        print(f"{kind:20} {name:10} {app:6.3f} {postgres:9.3f} {own:6.3f} {spread} {floor} {other}")


def _ratio(found: list[Cost], beside: list[Cost] | None) -> str:
    """Return the median of the ratios of each round."""
    if beside is None or beside is found:
        return " " * 7
    ratios = [one.sum / other.sum for one, other in zip(found, beside, strict=True)]
    return f"{statistics.median(ratios):6.2f}x"


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
def _qstash() -> Iterator[str]:
    """Run the local QStash server in a separate process, as in development."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - likewise
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


if __name__ == "__main__":
    main()
