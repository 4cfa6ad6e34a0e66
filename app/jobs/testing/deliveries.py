"""Delivering a job as QStash would, at once and without QStash."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from werkzeug.test import TestResponse

from ..table.db import db
from ..table.models import JobExecution, Status
from . import rows, wire

#: The answer that tells QStash not to try again.
NEVER_AGAIN = 489


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery and its answer."""

    job_id: str
    job_type: str
    retried: int
    answer: TestResponse


def deliver(
    job_id: str, *, retried: int | None = None, message_id: str | None = None
) -> TestResponse:
    """Deliver a job once, as QStash would, and return the answer.

    The request is signed and goes through the app's HTTP, in its own context and
    transactions. It ignores the job's delay.

    Args:
        job_id: What `enqueue` returned.
        retried: How often QStash tried before; by default from the row.
        message_id: QStash's id of the message; an unknown one is a redrive.

    Raises:
        AssertionError: There is no such job, or the test's session holds work that the delivery
            would not see.
    """
    _refuse_uncommitted()
    request = wire.delivery(rows.job(job_id), retried=retried, message_id=message_id)
    answer = wire.post(wire.this_app(), request)
    db.session.expire_all()
    return answer


def drain(*, limit: int = 1000) -> list[Delivered]:
    """Deliver all waiting jobs, and those that they enqueue, until nothing is left.

    What a pause holds is left alone, and so is what was there before the test's fixture `published`
    or `failing_qstash` began. Failures are retried as often as the job's options say, and
    then QStash's failure callback is made. Delays are not waited for.

    Args:
        limit: How many deliveries to make at most.

    Returns:
        The deliveries, in order.

    Raises:
        AssertionError: It does not end, because a job reschedules or enqueues itself for ever.
    """
    _refuse_uncommitted()
    done: list[Delivered] = []
    tries: Counter[str] = Counter()
    while waiting := _waiting():
        for row in waiting:
            if len(done) == limit:
                raise AssertionError(
                    f"there is work left after {limit} deliveries: does a job reschedule or "
                    f"enqueue itself for ever? The last: {rows.describe(row)}"
                )
            done.append(_try(row, tries))
    db.session.expire_all()
    return done


def _waiting() -> Sequence[JobExecution]:
    return rows.jobs(
        JobExecution.status.in_([Status.PENDING, Status.FAILED]),
        JobExecution.dead_at.is_(None),
        JobExecution.pause.is_(None),
    )


def _try(row: JobExecution, tries: Counter[str]) -> Delivered:
    """Make one delivery; after the last, call the app's failure callback."""
    message_id = wire.message_id_of(row)
    retried = max(wire.retried_of(row), tries[message_id])
    tries[message_id] = retried + 1
    answer = wire.post(wire.this_app(), wire.delivery(row, retried=retried))
    last = answer.status_code == NEVER_AGAIN or retried >= wire.max_retries_of(row)
    if last and not _is_success(answer):
        told = wire.post(wire.this_app(), wire.failure_callback(row, answer, retried))
        if not _is_success(told):
            raise AssertionError(
                f"the failure callback was answered {told.status_code} ({told.text.strip()}), "
                f"after {answer.status_code} ({answer.text.strip()}): {rows.describe(row)}"
            )
    return Delivered(row.job_id, row.job_type, retried, answer)


def _is_success(answer: TestResponse) -> bool:
    return answer.status_code // 100 == 2  # noqa: PLR2004 - HTTP's class of successes


def _refuse_uncommitted() -> None:
    if db.session.new or db.session.dirty or db.session.deleted:
        raise AssertionError(
            "the test's db.session holds work that is not committed, which a delivery, in a "
            "separate transaction, does not see: call db.session.commit() first"
        )
