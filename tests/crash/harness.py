"""Kill the app at every point at which it commits or talks to the network, one after the other.

    python -m tests.crash.harness DATABASE_URL [--every N]

For each point: a process serves deliveries and enqueues the scenario's jobs until it dies there;
another takes over, as a restart would, and lets the system settle. Then every job that was
accepted must have ended as it should, with its effect in the database exactly once. PostgreSQL,
the QStash server and all HTTP are real. Time is helped along: a dead process's leases run out at
once, and sweeps leave nothing alone.
"""

import argparse
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select, text
from werkzeug.serving import make_server

from app import create_app
from app.config import DEV_QSTASH
from app.db import db
from app.jobs import (
    JobExecution,
    Unique,
    batch,
    enqueue,
    enqueue_many,
    pause,
    paused,
    resume,
    signal,
    signature,
    workflow,
)
from app.jobs.cli import formatting
from app.jobs.operate import batches
from app.jobs.publish import outbox
from app.jobs.recover.sweep import sweep
from app.jobs.table.batch_models import JobBatch
from tests.crash.points import CRASHED, CrashPoints
from tests.support.ports import reserved_port
from tests.support.publishing import connect
from tests.support.sample_jobs import Effect, bp

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 45
LEGS = 3
#: An organization, and for how long its job is delayed so that QStash has it when it is paused.
PAUSED, SOON = "9", "50s"
# At --speed 100 a tenth of a second, for as long as a restart may take.
FAST: Any = {"retry_delay": "10000", "retries": 50}


def scenario(accepted: int) -> None:
    """Enqueue jobs of every kind; write the ids of those that were accepted to a pipe."""

    def accept(*job_ids: str) -> None:
        os.write(accepted, "".join(f"{job_id}\n" for job_id in job_ids).encode())

    accept(enqueue("sample", {"action": "none"}, **FAST))
    db.session.add(Effect(job_id="caller", note="the caller's own work"))
    first = enqueue("sample", {"action": "none"}, session=db.session, **FAST)
    second = enqueue("sample", {"action": "none"}, session=db.session, **FAST)
    db.session.commit()
    accept(first, second)
    accept(*enqueue_many("sample", [{"action": "none"}] * 2, **FAST))
    for action in ("parent", "fail-twice", "later", "permanent"):
        accept(enqueue("sample", {"action": action}, **FAST))
    accept(enqueue("sample", {"action": "legs", "count": LEGS}, **FAST))
    for actions in BATCHES.values():
        accept(*fill(actions))
    begin_workflow()
    accept(*pause_and_resume())
    accept(*be_unique())


def be_unique() -> list[str]:
    """Replace a job that waits, and have another follow one that has begun."""
    newest = Unique(fields=("action",), on_conflict="replace")
    replaced = enqueue("sample", {"action": "none"}, unique=newest, delay=SOON, **FAST)
    again: Any = {"session": db.session, **FAST}
    enqueue("sample", {"action": "none", "count": 2}, unique=newest, **again)
    db.session.commit()
    once_more = Unique(fields=("action",), once_more=True)
    first = enqueue("sample", {"action": "later"}, unique=once_more, **FAST)
    give_up_at = time.monotonic() + PATIENCE
    while not seen("SELECT started_at FROM job_executions WHERE job_id = %s", first):
        if time.monotonic() > give_up_at:
            raise SystemExit("a unique job did not begin")
        time.sleep(0.02)
    followed = [enqueue("sample", {"action": "later"}, unique=once_more, **FAST) for _ in range(2)]
    return [replaced, first, *followed]


def pause_and_resume() -> list[str]:
    """Pause an organization while one of its jobs is at QStash, and enqueue another; resume."""
    waiting: Any = {"organization_id": int(PAUSED), **FAST}
    delayed = enqueue("sample", {"action": "none"}, delay=SOON, **waiting)
    pause("organization", PAUSED, reason="to see", by="crash")
    held = enqueue("sample", {"action": "none"}, **waiting)
    give_up_at = time.monotonic() + PATIENCE
    while not seen("SELECT reschedules FROM job_executions WHERE job_id = %s", delayed):
        if time.monotonic() > give_up_at:
            raise SystemExit("a delivery did not go back to the outbox")
        time.sleep(0.02)
    resume("organization", PAUSED, by="crash")
    return [held, delayed]


def fill(actions: list[str]) -> list[str]:
    """Record a batch whose end is followed by a job that names how it ended."""
    then, on_failure = (signature("sample", {"action": name}, **FAST) for name in FOLLOWING)
    with batch(",".join(actions), then=then, on_failure=on_failure) as made:
        return made.enqueue_many(
            signature("sample", {"action": action}, **FAST) for action in actions
        )


def begin_workflow() -> None:
    """Record two steps at once, one after both that waits for a signal first, and one in between.

    The signal is given at once, perhaps before the step that waits for it has begun.
    """
    with workflow("steps", session=db.session) as made:
        made.add("left", signature("sample", {"action": "none"}, **FAST))
        made.add("right", signature("sample", {"action": "fail-twice"}, **FAST))
        made.wait_for("go", match={"id": made.id}, timeout="1h", after=["left"])
        both = ["go", "right"]
        made.add("last", signature("sample", {"action": "none"}, **FAST), after=both)
    signal("go", {"id": made.id}, session=db.session)
    db.session.commit()


#: The jobs of batches, by how the batch ends.
BATCHES = {"completed": ["none", "fail-twice"], "failed": ["none", "permanent"]}
FOLLOWING = ("then", "on_failure")
#: How a job ends and how many effects it has, where it is not completed with one.
ENDS = {"permanent": ("failed", 0), "legs": ("completed", LEGS)}


class Point:
    """One run that dies at one point, and the run that puts things right."""

    def __init__(self, app: Flask, port: int, number: int) -> None:
        self.app = app
        self.port = port
        self.number = number
        self.accepted: set[str] = set()

    def run(self) -> bool:
        """Tell whether the point was reached; False when there are no more."""
        reading, writing = os.pipe()
        reached = self._fork(writing, die_at=self.number) == CRASHED
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.accepted = set(pipe.read().split())
        if reached:
            self._let_leases_run_out()
            if self._fork(None, die_at=0) != 0:
                raise SystemExit(f"point {self.number}: the system did not settle:\n{unsettled()}")
        return reached

    def problems(self) -> Iterator[str]:
        """Name every job that was lost, done twice, or did not end as it should."""
        jobs = {job.job_id: job for job in db.session.scalars(select(JobExecution))}
        effects = Counter(db.session.scalars(select(Effect.job_id)))
        parts = set(db.session.scalars(select(Effect.note).where(Effect.note.like("legs%"))))
        yield from (f"lost {job_id}" for job_id in self.accepted - jobs.keys())
        for job in jobs.values():
            action = job.payload["payload"]["action"]
            done = effects[job.job_id] + (job.job_type == "noop" and job.status == "completed")
            expected = ENDS.get(action, ("completed", 1))
            if (job.status, done) != expected:
                yield f"{action}: {job.status} with {done} effects: {job.error}"
            if action == "legs" and len(parts) != LEGS:
                yield f"legs: only {sorted(parts)} were done"
        yield from self._problems_of_batches()
        if effects["caller"] > 1 or (effects["caller"] == 0 and len(self.accepted) > 1):
            yield f"the caller's work was done {effects['caller']} times"

    def _problems_of_batches(self) -> Iterator[str]:
        """Name every batch that did not end as it should, or is not followed by the one job."""
        for made in db.session.scalars(select(JobBatch)):
            if made.kind == "workflow":
                ended = {step.state for step in batches.steps(made.id)}
                if (made.state, ended) != ("completed", {"completed"}):
                    yield f"workflow: {made.state}, with steps {ended}"
                continue
            following = db.session.scalars(
                select(JobExecution.payload["payload"]["action"].astext).where(
                    JobExecution.batch_id == made.id, JobExecution.slot.is_(None)
                )
            ).all()
            expected = FOLLOWING["permanent" in made.name]
            if BATCHES.get(made.state) != made.name.split(",") or following != [expected]:
                yield f"batch of {made.name}: {made.state}, followed by {following}"

    def _fork(self, accepted: int | None, *, die_at: int) -> int:
        """Run a process of the app until it dies or everything is final; return its exit code."""
        forget_connections()
        child = os.fork()
        if child == 0:
            try:
                os._exit(self._serve(accepted, CrashPoints(die_at)))
            except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent
                sys.stderr.write(f"point {self.number}: {error!r}\n")
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _serve(self, accepted: int | None, points: CrashPoints) -> int:
        with self.app.app_context():
            points.install()
            server = make_server("127.0.0.1", self.port, self.app, threaded=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            if accepted is not None:
                scenario(accepted)
            for left in paused() if accepted is None else ():
                resume(left.pause.kind, left.pause.name, by="after the crash")
            give_up_at = time.monotonic() + PATIENCE
            while time.monotonic() < give_up_at:
                sweep(grace=0)
                if self._is_settled():
                    return 0
                time.sleep(0.03)
        return 1

    @staticmethod
    def _is_settled() -> bool:
        waiting = "status IN ('pending', 'processing') OR status = 'failed' AND dead_at IS NULL"
        found: int = seen(f"SELECT count(*) FROM job_executions WHERE {waiting}")  # noqa: S608 - ours
        return found == 0

    def _let_leases_run_out(self) -> None:
        db.session.execute(
            text("UPDATE job_executions SET lease_expires_at = now() WHERE status = 'processing'")
        )
        db.session.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("database_url")
    parser.add_argument("--every", type=int, default=1, help="try only every Nth point")
    parser.add_argument("--first", type=int, default=1, help="start at this point")
    args = parser.parse_args()
    port = reserved_port()
    with tempfile.TemporaryDirectory() as folder, qstash(Path(folder)) as qstash_url:
        os.environ.update(
            DEV_QSTASH,
            APP_ENV="test",
            DATABASE_URL=args.database_url,
            BASE_URL=f"http://127.0.0.1:{port}",
            QSTASH_URL=qstash_url,
            LOG_LEVEL="ERROR",
        )
        app = create_app(instance=Path(folder))
        app.register_blueprint(bp)
        # What is refused for good is logged as an error; here it is meant.
        logging.disable()
        # Before the process has settled, or its notes would have no points of their own.
        outbox.NOTE_AFTER = 0.02
        with app.app_context():
            try_all(app, port, range(args.first, sys.maxsize, args.every))


def seen(query: str, *given: str) -> Any:
    """Look without passing a point: looking is the harness's, not the system's."""
    with db.engine.raw_connection() as connection:
        cursor = connection.cursor()
        cursor.execute(query, given)
        row = cursor.fetchone()
    return row and row[0]


def unsettled() -> str:
    rows = db.session.scalars(select(JobExecution).where(JobExecution.status != "completed"))
    return "\n".join(
        f"{row.job_id} {row.payload} {formatting.state(row)}: {row.error} {row.attempts}"
        for row in rows
    )


def try_all(app: Flask, port: int, numbers: range) -> None:
    tried, bad = 0, 0
    for number in numbers:
        point = Point(app, port, number)
        reached = point.run()
        problems = list(point.problems())
        for problem in problems:
            print(f"point {number}: {problem}", flush=True)
        tried, bad = tried + reached, bad + len(problems)
        clean(app)
        if not reached:
            break
        if tried % 50 == 0:
            print(f"{tried} points tried, {bad} wrong", file=sys.stderr, flush=True)
    print(f"crash points: {tried} tried, {bad} wrong")
    sys.exit(bad > 0 or tried == 0)


def clean(app: Flask) -> None:
    """Empty the database and the queue."""
    with connect(app.config["QSTASH_URL"]) as client:
        client.message.cancel_all()
        client.dlq.delete_many([letter.dlq_id for letter in client.dlq.list().messages] or ["none"])
    db.session.rollback()
    db.session.execute(text("TRUNCATE job_executions, job_batches, job_pauses, effects CASCADE"))
    db.session.commit()


def forget_connections() -> None:
    """Leave none for the next process to share."""
    db.session.remove()
    db.engine.dispose()


@contextmanager
def qstash(folder: Path) -> Iterator[str]:
    """Run the QStash server in a process of its own, so that this one may fork."""
    log = folder / "qstash.log"
    command = [sys.executable, "-m", "flask", "qstash", "dev", "--memory", "--port", "0"]
    with log.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--speed", "100"], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        while not (ready := re.search(r"running at (http://\S+)", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.02)
        yield ready[1]
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
