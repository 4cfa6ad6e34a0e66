"""Measure the memory of gunicorn's workers: after the start, and over thousands of jobs.

    python benchmarks/memory.py [--jobs 3000] [--workers 2] [--against CHECKOUT]

In one run: a worker of an app that is Flask alone, as the floor; a worker of this app after its
start and one request; the same after each tenth of the jobs, which are enqueued by the app itself
and delivered by a local QStash server. The workers run under this repository's gunicorn.conf.py.

RSS counts shared pages in each process, PSS divides them among those that share them, and private
is what ends with the process. All are from /proc/PID/smaps_rollup, in MB (10^6 bytes), of the
largest worker; the sum is the PSS of gunicorn with all its workers. Exits with 1 when a worker
takes more than 90 MB after the start, or grows by more than 5 MB in the second half of the jobs.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.dev.temporary_postgres import temporary_server  # noqa: E402
from app.ports import free_port  # noqa: E402 - the path comes first

BOUND, GROWTH = 90, 5  # MB
PARTS = 10
MANY = 500
READ = ("Rss", "Pss", "Private_Clean", "Private_Dirty")


class Memory(NamedTuple):
    """Megabytes of a process."""

    rss: float
    pss: float
    private: float


class Gunicorn(NamedTuple):
    pid: int
    port: int

    def get(self, path: str, *, method: str = "GET") -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        asked = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(asked, timeout=600) as answer:  # noqa: S310 - likewise
            return bytes(answer.read())

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def largest(self) -> Memory:
        return max((memory(pid) for pid in self.workers()), key=lambda found: found.rss)

    def report(self, name: str) -> Memory:
        found = self.largest()
        everything = sum(memory(pid).pss for pid in (self.pid, *self.workers()))
        print(
            f"{name:28} RSS {found.rss:6.1f}  PSS {found.pss:6.1f}  private {found.private:6.1f}"
            f"  sum {everything:6.1f}",
            flush=True,
        )
        return found


def memory(pid: int) -> Memory:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kb = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    rss, pss, clean, dirty = (kb[name] * 1024 / 1e6 for name in READ)
    return Memory(rss, pss, clean + dirty)


@contextmanager
def gunicorn(
    checkout: Path, which: str, more: list[str], settings: dict[str, str]
) -> Iterator[Gunicorn]:
    port = int(settings.get("PORT", free_port()))
    env = {
        **os.environ,
        **settings,
        "PORT": str(port),
        "PYTHONPATH": f"{checkout}:{ROOT / 'benchmarks/support'}",
        "BENCH_APP": which,
    }
    name = "app" if which == "ours" else "bare"
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--log-level", "error"]
    with subprocess.Popen([*command, *more, f"with_noop:{name}"], cwd=checkout, env=env) as process:  # noqa: S603 - our own command
        try:
            made = Gunicorn(process.pid, port)
            _serve(made, int(settings["WEB_CONCURRENCY"]))
            yield made
        finally:
            process.terminate()


def _serve(made: Gunicorn, workers: int) -> None:
    """Wait until all workers are there, and have each answer something."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            made.get("/healthz")
        except OSError:
            time.sleep(0.2)
        else:
            if len(made.workers()) == workers:
                break
    for _ in range(20 * workers):
        made.get("/healthz")


@contextmanager
def local_qstash() -> Iterator[dict[str, str]]:
    flask = Path(sys.executable).with_name("flask")
    with subprocess.Popen(  # noqa: S603 - our own command
        [flask, "qstash", "dev", "--port", "0", "--memory"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            if "is running at" in line:
                break
            lines.append(line.strip())
        try:
            yield dict(line.split("=", 1) for line in lines if "=" in line)
        finally:
            process.terminate()


def run_jobs(made: Gunicorn, url: str, count: int, total: int) -> None:
    """Enqueue so many, and wait until all jobs so far have completed."""
    for _ in range(0, count, MANY):
        made.get(f"/bench/enqueue/{MANY}", method="POST")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        query = "SELECT count(*) FROM job_executions WHERE status = 'completed'"
        while (connection.execute(query).fetchone() or (0,))[0] < total:
            time.sleep(0.5)


def measure(checkout: Path, url: str, given: argparse.Namespace) -> bool:
    """Report on the app of a checkout, and tell whether it keeps to the bounds."""
    with ExitStack() as stack:
        qstash = stack.enter_context(local_qstash())
        port = str(free_port())
        settings = {
            **qstash,
            "APP_ENV": "test",
            "LOG_LEVEL": "ERROR",
            "DATABASE_URL": url,
            "BASE_URL": f"http://127.0.0.1:{port}",
            "PORT": port,
            "WEB_CONCURRENCY": str(given.workers),
            "JOBS_SWEEP_EVERY": "10",  # what a busy machine's QStash did not take in time
        }
        subprocess.run(
            [sys.executable, "-m", "flask", "db", "upgrade"],
            cwd=checkout,
            env={**os.environ, **settings, "PYTHONPATH": str(checkout)},
            check=True,
            capture_output=True,
        )
        made = stack.enter_context(gunicorn(checkout, "ours", given.gunicorn, settings))
        first = made.report("after the start")
        half = first
        part = given.jobs // PARTS // MANY * MANY
        for number in range(1, PARTS + 1 if part else 0):
            run_jobs(made, url, part, number * part)
            found = made.report(f"after {number * part} jobs")
            half = found if number == PARTS // 2 else half
        return first.rss <= BOUND and made.largest().rss - half.rss <= GROWTH


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=3_000, help="0 for the start alone")
    parser.add_argument("--workers", type=int, default=2, help="processes of gunicorn's")
    parser.add_argument(
        "--gunicorn", action="append", default=[], help="one more argument of gunicorn's"
    )
    parser.add_argument("--against", type=Path, help="another checkout, measured before")
    given = parser.parse_args()
    concurrency = {"WEB_CONCURRENCY": str(given.workers)}
    with gunicorn(ROOT, "bare", given.gunicorn, concurrency) as floor:
        floor.report("Flask alone")
    with temporary_server() as server:
        if given.against:
            print(f"{given.against}:")
            measure(given.against.resolve(), server.create_database("other"), given)
        sys.exit(not measure(ROOT, server.create_database("ours"), given))


if __name__ == "__main__":
    main()
