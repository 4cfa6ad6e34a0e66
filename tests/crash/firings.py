"""Kill the app at every point of a schedule's firing: as it arrives, and as it is made up for.

    python -m tests.crash.firings DATABASE_URL EVERY

EVERY is 1 for all points, or N for every Nth.

For each point a process dies there; then QStash delivers again, and a sweep comes, as they do after
a crash. Each firing must have one job by then, which is published or at its turn. PostgreSQL, the
QStash server and all HTTP are real.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select, text

from app import create_app
from app.config import DEV_QSTASH
from app.db import db
from app.jobs import JobExecution, schedule
from app.jobs.publish import outbox
from app.jobs.recover.sweep import sweep
from app.jobs.table.firing_models import JobFiring
from tests.crash.harness import forget_connections, qstash
from tests.crash.points import CRASHED, CrashPoints
from tests.support.ports import reserved_port
from tests.support.publishing import connect
from tests.support.qstash import claims_for, deliver, token
from tests.support.sample_jobs import bp

NAME, HOURS = "hourly", 3
#: Nobody answers QStash here, and it is not to give up.
RULES: dict[str, Any] = {"overlap": "queue", "catch_up": "all", "retries": 50, "retry_delay": "1d"}


def make_up() -> None:
    """Sweep where the firings of some hours are missing."""
    sweep(grace=0)


def arrive(app: Flask, body: str) -> Callable[[], None]:
    """Return what has QStash deliver a firing while the one before has not ended."""

    def post() -> None:
        raw = body.encode()
        claims = claims_for(raw, f"{app.config['BASE_URL']}/api/jobs/sample")
        about = {"upstash_schedule_id": NAME, "upstash_message_id": "msg_firing"}
        deliver(app.test_client(), raw, signature=token(claims), **about)

    return post


def missed() -> None:
    """Have the schedule be known for some hours, in which it did not fire."""
    since = datetime.now(UTC).replace(minute=30) - timedelta(hours=HOURS)
    db.session.execute(text("UPDATE job_schedules SET accounted_until = :since"), {"since": since})
    db.session.commit()


def run_before() -> None:
    """Have a run of the schedule be under way."""
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload, status, schedule_id)"
            " VALUES ('before', 'sample', '{}', 'processing', :name)"
        ),
        {"name": NAME},
    )
    db.session.commit()


def dies(work: Callable[[], None], number: int) -> bool:
    """Do the work in another process, which dies at a point; tell whether it came that far."""
    forget_connections()
    child = os.fork()
    if child == 0:
        try:
            CrashPoints(number).install()
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent
            sys.stderr.write(f"point {number}: {error!r}\n")
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in {0, CRASHED}:
        raise SystemExit(f"point {number}: the process failed")
    return code == CRASHED


def problems(moments: int, published: int) -> Iterator[str]:
    """Say what is not as it should be, of so many firings."""
    jobs = list(db.session.scalars(select(JobExecution).where(JobExecution.job_id != "before")))
    due = [job.scheduled_for for job in jobs]
    if len(jobs) != moments or len(set(due)) != moments:
        yield f"{len(jobs)} jobs of {len(set(due))} moments"
    if (found := sum(job.published_at is not None for job in jobs)) != published:
        yield f"{found} of the jobs are published"
    noted = {one.job_id for one in db.session.scalars(select(JobFiring))}
    if noted != {job.job_id for job in jobs}:
        yield "what became of the firings is not what the jobs say"


def try_all(
    work: Callable[[], None], prepare: Callable[[], None], expected: tuple[int, int]
) -> int:
    """Try the points; return how many were tried."""
    for tried, number in enumerate(count(1, int(sys.argv[2]))):
        db.session.execute(text("TRUNCATE job_executions, job_firings, spent_tokens CASCADE"))
        db.session.commit()
        prepare()
        died = dies(work, number)
        work()
        sweep(grace=0)
        for problem in problems(*expected):
            raise SystemExit(f"{work.__name__}, point {number}: {problem}")
        db.session.rollback()
        if not died:
            return tried
    raise AssertionError


def made_long_ago() -> None:
    """Have QStash say that its schedules are old; the clock of its server cannot be set."""
    publisher: Any = outbox.publisher()
    ask = publisher.call

    def asked(question: Any) -> Any:
        found = ask(question)
        for one in found if isinstance(found, list) else ():
            one.created_at = 0
        return found

    publisher.call = asked


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, qstash(Path(folder)) as url:
        os.environ.update(
            DEV_QSTASH,
            APP_ENV="test",
            DATABASE_URL=sys.argv[1],
            BASE_URL=f"http://127.0.0.1:{reserved_port()}",
            QSTASH_URL=url,
            LOG_LEVEL="ERROR",
        )
        app = create_app(instance=Path(folder))
        app.register_blueprint(bp)
        app.config["JOBS_HEALTH_OVERDUE"] = 0  # no patience
        logging.disable()
        with app.app_context(), connect(url) as client:
            schedule("sample", "0 * * * *", {"action": "none"}, schedule_id=NAME, **RULES)
            made_long_ago()
            body = client.schedule.get(NAME).body or ""
            made_up = try_all(make_up, missed, (HOURS, 1))
            arrived = try_all(arrive(app, body), run_before, (1, 0))
            print(f"crash points: {made_up} of catching up, {arrived} of an arrival")


if __name__ == "__main__":
    main()
