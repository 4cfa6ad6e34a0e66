"""A cleanup that is killed in the middle: what it deleted is gone, and a retry does the rest."""

from flask import Flask
from sqlalchemy import delete, func, select, text, update

from app.db import db
from app.families.cleanup.cleanup_old_data import Cleanup, cleanup_old_data
from app.jobs import JobExecution, Status
from tests.e2e.stack import Stack
from tests.support.rows import row_of

ROWS = 2_000
FILL = text(
    """
    INSERT INTO job_executions (job_id, job_type, payload, status, created_at, updated_at)
    SELECT gen_random_uuid(), 'old', '{}', CASE n % 2 WHEN 0 THEN 'completed' ELSE 'pending' END,
           now() - interval '1 year', now() - interval '1 year'
      FROM generate_series(1, :rows) AS n
    """
)
IS_OLD = JobExecution.job_type == "old"


def count(status: Status) -> int:
    db.session.rollback()
    found = select(func.count()).where(IS_OLD, JobExecution.status == status)
    return db.session.scalars(found).one()


def test_a_cleanup_that_is_killed_in_the_middle_is_retried_and_leaves_what_is_open(
    stack: Stack, producer: Flask
) -> None:
    db.session.execute(FILL, {"rows": ROWS})
    db.session.commit()
    with db.engine.connect() as somebody:
        # Somebody holds one of the last rows, so that the cleanup cannot come to its end.
        last = select(JobExecution).where(IS_OLD, JobExecution.status == "completed")
        somebody.execute(last.order_by(JobExecution.id.desc()).limit(1).with_for_update())
        job_id = cleanup_old_data.enqueue(Cleanup(90), retries=50, retry_delay="10000")
        stack.await_that(lambda: count(Status.COMPLETED) < ROWS // 2, "the first batch")
        stack.kill("web")
        somebody.rollback()
    assert row_of(job_id).status == Status.PROCESSING
    assert 0 < count(Status.COMPLETED) < ROWS // 2
    expired = update(JobExecution).where(JobExecution.job_id == job_id)
    db.session.execute(expired.values(lease_expires_at=text("now()")))
    db.session.commit()
    stack.start_web()

    row = stack.final(job_id)

    assert (row.status, row.error, len(row.attempts)) == (Status.COMPLETED, None, 2)
    assert (count(Status.COMPLETED), count(Status.PENDING)) == (0, ROWS // 2)
    db.session.execute(delete(JobExecution).where(IS_OLD))
    db.session.commit()
