"""Run jobs while everything that can break is broken, and count what was lost or done twice.

    python -m tests.chaos.run [--jobs 10000] [--batches 20] [--children 50] [--seed 1] [--pause 3]

Each job's handler inserts one row through `db.session`; a tenth of the jobs also enqueue a child.
Meanwhile gunicorn and its workers, the QStash server and PostgreSQL are killed with SIGKILL and
started again, database connections are cut, and the QStash server drops, duplicates, reorders and
fails deliveries and publishes. At the end each job must have completed with exactly one row, or be
dead with a reason. Some of the jobs come in batches, each recorded by a job before it, and followed
by one, which must be there exactly once. Every second one is a workflow, whose second step adds the
jobs, and whose third waits for them. Closes with
`chaos: N jobs, N faults, lost = N, doubled = N`; the exit code is 0 only if the last two are.
"""

import argparse
import logging
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import create_app
from app.db import db
from app.jobs import DatabaseUnavailable, enqueue
from tests.chaos.processes import Processes
from tests.support.sample_jobs import bp

PRODUCERS = 3
#: Of each workflow.
STEPS = 3
#: Enough for the longest outage here: a lease that has to run out.
OPTIONS: Any = {"retries": 30, "retry_delay": "1000"}
#: Seconds for which things break, and after which what is left is lost.
TORMENT, SETTLE = 600, 3600


class Run:
    """One run: producers, the tormentor, and the count at the end."""

    def __init__(self, app: Flask, processes: Processes, args: argparse.Namespace) -> None:
        self.app = app
        self.processes = processes
        self.jobs: int = args.jobs
        self.pause: float = args.pause
        self.random = random.Random(args.seed)  # noqa: S311 - to be repeatable, not secret
        self.accepted: set[str] = set()
        self.recovery: dict[str, list[float]] = defaultdict(list)
        self.batches: int = args.batches
        self.children: int = args.children
        self.left = iter(range(self.jobs + self.batches))
        self.lock = threading.Lock()

    def go(self) -> None:
        producers = [threading.Thread(target=self._produce) for _ in range(PRODUCERS)]
        for producer in producers:
            producer.start()
        started = time.monotonic()
        while any(producer.is_alive() for producer in producers) or self._waiting() > 0:
            if time.monotonic() - started < TORMENT and self._completed() < self._expected() * 0.9:
                self._torment()
            time.sleep(self.pause)
            self._show()
            if time.monotonic() - started > SETTLE:
                break
        sys.stdout.write("\n")

    def report(self) -> int:
        """Print what became of the jobs; return the exit code."""
        rows = self._all("SELECT job_id::text, status, dead_at IS NOT NULL FROM job_executions")
        effects = Counter(self._column("SELECT job_id FROM effects"))
        found = {job_id: (status, dead) for job_id, status, dead in rows}
        lost = [job_id for job_id in self.accepted if job_id not in found]
        lost += [
            job_id
            for job_id, (status, dead) in found.items()
            if not dead and (status != "completed" or effects[job_id] == 0)
        ]
        doubled = [job_id for job_id, count in effects.items() if count > 1]
        doubled += [job_id for job_id in effects if found.get(job_id, ("",))[0] != "completed"]
        dead = sum(dead for _, dead in found.values())
        unfollowed, followed_twice = self._batches()
        lost, doubled = lost + unfollowed, doubled + followed_twice
        self._report_recovery()
        print(f"  {len(found)} recorded, {len(self.accepted)} accepted, {dead} dead with a reason")
        faults = sum(map(len, self.recovery.values()))
        counts = f"lost = {len(lost)}, doubled = {len(doubled)}"
        print(f"chaos: {len(found)} jobs, {faults} faults, {counts}")
        return 1 if lost or doubled or not found else 0

    def _expected(self) -> int:
        """Return about how many jobs there will be in the end."""
        return self.jobs + self.batches * (self.children + 2 + STEPS // 2)

    def _batches(self) -> tuple[list[str], list[str]]:
        """Return the batches that lack a job or what follows, and those that have too many."""
        found = self._all(
            "SELECT batch.id::text, batch.kind, batch.state, count(job.slot),"
            " count(*) - count(job.slot), count(job.dead_at) FILTER (WHERE job.slot IS NOT NULL)"
            " FROM job_batches AS batch JOIN job_executions AS job ON job.batch_id = batch.id"
            " GROUP BY batch.id"
        )
        lost = [f"batch {number}" for number in range(len(found), self.batches)]
        doubled = [f"batch {number}" for number in range(self.batches, len(found))]
        for batch_id, kind, state, jobs, following, dead in found:
            wanted = self.children + (STEPS if kind == "workflow" else 0)
            is_whole = jobs >= wanted or dead
            if following == 0 or not is_whole or state != ("failed" if dead else "completed"):
                lost.append(f"{batch_id}: {state}, {jobs} of {wanted} jobs, {following} following")
            if following > 1 or jobs > wanted:
                doubled.append(f"{batch_id}: {jobs} of {wanted} jobs, {following} following")
        for line in lost + doubled:
            print(f"  {line}")
        flows = sum(kind == "workflow" for _, kind, *_ in found)
        print(
            f"  {len(found)} batches of {self.children}, each followed; {flows} of them workflows"
        )
        return lost, doubled

    def _report_recovery(self) -> None:
        for kind, times in sorted(self.recovery.items()):
            median, worst = statistics.median(times), max(times)
            again = f"completing again after {median:.1f} s (median), {worst:.1f} s (worst)"
            print(f"  {kind:<16} {len(times):3} times, {again}")

    def _produce(self) -> None:
        """Enqueue until all are accepted, again and again while the database is away."""
        with self.app.app_context():
            while (number := self._next()) is not None:
                while not self._try(self._action(number)):
                    time.sleep(0.2)

    def _action(self, number: int) -> str:
        if number < self.jobs:
            return "parent-effect" if number % 10 == 0 else "none"
        return "parent-workflow" if number % 2 else "parent-batch"

    def _next(self) -> int | None:
        with self.lock:
            return next(self.left, None)

    def _try(self, action: str) -> bool:
        try:
            payload = {"action": action, "count": self.children}
            self.accepted.add(enqueue("sample", payload, **OPTIONS))
        except DatabaseUnavailable:
            return False
        return True

    def _torment(self) -> None:
        """Break something, and take the time until jobs complete again."""
        faults = (
            self.processes.kill_worker,
            self.processes.kill_web,
            self.processes.drain_web,
            self.processes.kill_queue,
            self.processes.kill_postgres,
            self.processes.cut_connections,
        )
        fault = self.random.choice(faults)
        before = self._completed()
        start = time.monotonic()
        fault()
        while self._completed() <= before and self._waiting() > 0:
            time.sleep(0.05)
        self.recovery[fault.__name__].append(time.monotonic() - start)

    def _show(self) -> None:
        done, waiting = self._completed(), self._waiting()
        faults = sum(map(len, self.recovery.values()))
        line = f"  {done} completed, {waiting} on their way, {faults} faults"
        sys.stdout.write(f"\r{line:<70}" if sys.stdout.isatty() else f"{line}\n")
        sys.stdout.flush()

    def _completed(self) -> int:
        completed = "SELECT count(*) FROM job_executions WHERE status = 'completed'"
        return int(self._column(completed)[0])

    def _waiting(self) -> int:
        waiting = "status IN ('pending', 'processing') OR status = 'failed' AND dead_at IS NULL"
        return int(self._column(f"SELECT count(*) FROM job_executions WHERE {waiting}")[0])  # noqa: S608

    def _column(self, query: str) -> list[Any]:
        return [row[0] for row in self._all(query)]

    def _all(self, query: str) -> list[Any]:
        """Ask the database, however often it is away."""
        while True:
            try:
                with db.engine.connect() as connection:
                    return list(connection.execute(text(query)))
            except SQLAlchemyError:
                time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000, help="how many to enqueue")
    parser.add_argument("--batches", type=int, default=20, help="how many batches besides")
    parser.add_argument("--children", type=int, default=50, help="how many jobs each of them has")
    parser.add_argument("--seed", type=int, default=1, help="chooses what breaks, and when")
    parser.add_argument("--pause", type=float, default=3, help="seconds between two faults")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        processes = Processes(folder, seed=args.seed)
        try:
            processes.start_all()
            os.environ.update(processes.env, LOG_LEVEL="ERROR")
            app = create_app(instance=folder)
            app.register_blueprint(bp)
            logging.disable()
            with app.app_context():
                db.create_all()
                run = Run(app, processes, args)
                run.go()
                code = run.report()
        finally:
            processes.stop_all()
    sys.exit(code)


if __name__ == "__main__":
    main()
