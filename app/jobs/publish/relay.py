"""Rows that QStash does not have, published: what a crash left behind, or a person put back."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Row, text
from sqlalchemy.dialects.postgresql import JSONB

from ..errors import JobsError, PublishUnavailable
from ..events import Followed, JobDied, emit
from ..message import Message
from ..registry import get_job_config, registry_of
from ..table import batches, held, job_rows
from ..table.db import in_one_statement, in_transaction
from ..values import backoff, jsonb
from . import outbox

log = logging.getLogger(__name__)

_ONE_WAITING = text(
    f"""
    SELECT {job_rows.TO_PUBLISH} FROM job_executions AS job
     WHERE job_id = :job_id AND status = 'pending' AND published_at IS NULL
       AND pause IS NULL
    """  # noqa: S608 - the only values in the text are the table's columns
).columns(payload=JSONB, options=JSONB)

_ALL_WAITING = text(
    f"""
    SELECT {job_rows.TO_PUBLISH} FROM job_executions AS job
     WHERE job_id = ANY(CAST(:job_ids AS text[])) AND status = 'pending' AND published_at IS NULL
     ORDER BY job.id
    """  # noqa: S608 - as above
).columns(payload=JSONB, options=JSONB)

_OUTCOME = text(
    """
    SELECT count(*) FILTER (WHERE published_at IS NOT NULL),
           count(*) FILTER (WHERE published_at IS NULL AND dead_at IS NOT NULL),
           count(*) FILTER (WHERE published_at IS NULL AND status = 'pending')
      FROM job_executions WHERE job_id = ANY(CAST(:job_ids AS text[]))
    """
)


@dataclass(frozen=True, slots=True)
class Published:
    """What became of some rows.

    Attributes:
        waiting: Those that QStash did not take for now.
        trouble: Why it was not asked for all of them.
    """

    published: int = 0
    refused: int = 0
    waiting: int = 0
    trouble: PublishUnavailable | None = None


def known_types() -> list[str]:
    """Name the job types of this app: only they have an endpoint to be published to."""
    return [config.type for config in registry_of(current_app)]


def publish(rows: Sequence[Row[Any]]) -> Published:
    """Publish rows in the order in which they were made; note what became of them.

    Each has the columns of `job_rows.TO_PUBLISH`. It goes with its own deduplication id, so that
    QStash drops what it has already, and with what is left of its delay. What a pause holds stays
    where it is.
    """
    free = [row for row in rows if row.pause is None]
    if not free:
        return Published()
    ordered = sorted(free, key=lambda row: (row.created_at, row.id))
    messages = [message for row in ordered if (message := _message_or_dead(row))]
    trouble = outbox.publish_batch(messages)
    outbox.notes().flush()
    done = in_transaction(lambda tx: _outcome(tx, [row.job_id for row in free]))
    return replace(done, trouble=trouble)


def publish_job(job_id: str) -> Published:
    """Publish one job, if it waits for that."""
    found = {"job_id": job_id}
    return publish(in_transaction(lambda tx: tx.execute(_ONE_WAITING, found).all()))


def publish_recorded(jobs: Sequence[Sequence[str]]) -> None:
    """Publish jobs for the first time, from their rows: of as many as one call may enqueue.

    Those that are not committed (see `outbox.publish_committed`) are left out.

    Args:
        jobs: Their ids, in lists.
    """
    trouble = None
    try:
        for chunk in _chunks(chain.from_iterable(jobs)):
            free, held = _waiting(chunk)
            outbox.leave_paused(held)
            trouble = outbox.publish_following(free, trouble)
    except JobsError:
        log.exception("[jobs] Jobs left to the sweep")


def publish_started(batch_id: str) -> None:
    """Publish what the end of a batch's job has recorded, if anything; never raises."""
    try:
        if rows := in_one_statement(lambda tx: batches.started(tx, batch_id)):
            emit(Followed([row.job_type for row in rows]))
            publish(rows)
    except JobsError:
        log.exception("[jobs] Jobs left to the sweep")


def publish_followers(job_id: str) -> None:
    """Publish what waited for the end of a job, if that has ended; never raises."""
    try:
        rows = in_one_statement(lambda tx: held.followers(tx, job_id))
        publish(rows)
    except JobsError:
        log.exception("[jobs] Jobs left to the sweep")


def publish_all_followers(job_ids: Sequence[str]) -> None:
    """Do the same for several."""
    for job_id in job_ids:
        publish_followers(job_id)


def _waiting(job_ids: list[str]) -> tuple[list[Message], list[Message]]:
    """Return the messages of jobs that nobody has published, and of those that a pause holds."""
    given = {"job_ids": job_ids}
    rows = in_one_statement(lambda tx: tx.execute(_ALL_WAITING, given).all())
    free: list[Message] = []
    held: list[Message] = []
    for row in rows:
        if (message := _message_or_dead(row)) is not None:
            (free if row.pause is None else held).append(message)
    return free, held


def _chunks(job_ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(job_ids)
    while chunk := list(islice(rest, outbox.publisher().BATCH)):
        yield chunk


def withdraw(message_ids: Sequence[str]) -> None:
    """Have QStash forget messages.

    Raises:
        PublishUnavailable: It cannot be reached; what it delivers meanwhile finds the row changed.
    """
    for start in range(0, len(message_ids), outbox.publisher().BATCH):
        chunk = list(message_ids[start : start + outbox.publisher().BATCH])
        # An empty list would mean all of them.
        outbox.publisher().call(lambda qstash, ids=chunk: qstash.message.cancel_many(ids))  # type: ignore[misc]  # mypy cannot infer a default's type


def _message_or_dead(row: Row[Any]) -> Message | None:
    """Return a row's message; a row of which none can be made is dead, and holds up no other."""
    try:
        return _message(row)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"the row cannot be published: {type(error).__name__}: {error}"
        if in_transaction(lambda tx: job_rows.mark_dead(tx, str(row.job_id), reason)):
            emit(JobDied(row.job_type))
        about = {"jobId": str(row.job_id), "type": row.job_type, "error": reason}
        log.error("[jobs] Job rejected", extra=about)  # noqa: TRY400 - the message says it all
        return None


def _message(row: Row[Any]) -> Message:
    config = get_job_config(row.job_type)
    # A row that arrived from elsewhere knows nothing of how it was published.
    retries = config.retries if row.max_retries is None else row.max_retries
    delay = (
        {}
        if config.retry_delay is None
        else {"retry_delay": backoff.expression(config.retry_delay, retries)}
    )
    return Message(
        job_id=str(row.job_id),
        job_type=row.job_type,
        endpoint=config.endpoint,
        body=jsonb.dumps(row.payload),
        options={"retries": retries, "timeout": config.timeout, **delay, **row.options},
        generation=row.generation,
        legs=row.legs,
        reschedules=row.reschedules,
        available_at=row.available_at,
    )


def _outcome(connection: Connection, job_ids: list[Any]) -> Published:
    given = {"job_ids": [str(job_id) for job_id in job_ids]}
    return Published(*connection.execute(_OUTCOME, given).one())
