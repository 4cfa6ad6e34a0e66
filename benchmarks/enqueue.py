"""Measure `enqueue_many` of very many jobs: memory, and CPU time for each job.

    python benchmarks/enqueue.py [--jobs 20000] [--against CHECKOUT]

The payloads come from a generator, the jobs are published to a local QStash server, and the caller
is a process of its own. It says by how much that process grew at its largest, beyond what it had
after a thousand jobs: of a hundred thousand only the ids should stay. `benchmarks/jobs.py` measures
single jobs and a thousand.

Needs Linux, whose /proc tells what a process used.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUPPORT = Path(__file__).parent / "support"
sys.path.insert(0, str(ROOT))

from app.embedded_postgres.server import Server  # noqa: E402 - the path comes first
from benchmarks.support.build import BASE_URL, local_qstash  # noqa: E402

_CALLER = """
import json, re, sys, time
from pathlib import Path

import flask_migrate
from sqlalchemy import text

from app.jobs import enqueue_many
from one_build import PAYLOAD, db, new_app

def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

jobs = int(sys.argv[1])
with new_app().app_context():
    flask_migrate.upgrade("migrations")
    enqueue_many("noop", [PAYLOAD] * 1000, delay=3600)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size so far
    before, cpu, wall = megabytes("VmRSS"), time.process_time(), time.monotonic()
    ids = enqueue_many("noop", (PAYLOAD for _ in range(jobs)), delay=3600)
    told = {
        "cpu_ms": 1000 * (time.process_time() - cpu) / jobs,
        "seconds": time.monotonic() - wall,
        "grew_mb": megabytes("VmHWM") - before,
        "ids": len(set(ids)),
        "published": db.session.scalar(
            text("SELECT count(*) - 1000 FROM job_executions WHERE published_at IS NOT NULL")
        ),
    }
print(json.dumps(told))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--against", type=Path, help="another checkout, to be measured beside")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o711)
        server = Server(Path(name) / "postgres")
        server.start()
        stack.callback(server.destroy)
        qstash = stack.enter_context(local_qstash())
        print(f"enqueue_many of {given.jobs:,}  CPU ms each   seconds   grew by   published")
        paths = {"this build": ROOT} | ({"the other": given.against} if given.against else {})
        for index, (build, path) in enumerate(paths.items()):
            url = server.create_database(f"bench{index}")
            told = _ask(path.resolve(), url, qstash, given.jobs)
            print(
                f"{build:22} {told['cpu_ms']:12.3f} {told['seconds']:9.1f}"
                f" {told['grew_mb']:6.0f} MB {told['published']:11,}",
                flush=True,
            )


def _ask(path: Path, url: str, qstash: str, jobs: int) -> dict[str, float]:
    env = {
        **os.environ,
        "APP_ENV": "test",
        "DATABASE_URL": url,
        "LOG_LEVEL": "ERROR",
        "QSTASH_URL": qstash,
        "BASE_URL": BASE_URL,
        "PYTHONPATH": f"{path}:{SUPPORT}",
    }
    command = [sys.executable, "-c", _CALLER, str(jobs)]
    done = subprocess.run(command, cwd=path, env=env, stdout=subprocess.PIPE, check=True)  # noqa: S603 - ours
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


if __name__ == "__main__":
    main()
