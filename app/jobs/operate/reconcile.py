"""Our table and QStash, compared both ways; each difference with its repair.

    here                                   at QStash                repair
    pending, not published                 -                        sweep
    pending, or failed and to be retried   no such message          publish again
    waiting, or no row                     a dead letter            mark dead
    completed                              a dead letter            delete the letter
    declared in code                       no such schedule         sync schedules
    of a type that this app has not        -                        none: a person must decide
    waiting for a worker elsewhere         no such message          mark completed, if logged so

The sweep sees to what happens every day; this is for after an outage, a restored backup or a lost
account, and asks QStash once per waiting job.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from sqlalchemy import Row, text

from .. import schedules
from ..errors import PublishError, PublishUnavailable
from ..publish import outbox, relay
from ..recover import external_attempts, sweep
from ..recover.given_up import GivenUpMessage
from ..registry import get_job_config
from ..schedules import Change
from ..table import message_sql
from ..table.db import in_transaction

PAGE = 500

_UNPUBLISHED = text(
    """
    SELECT job_id, job_type FROM job_executions
     WHERE status = 'pending' AND published_at IS NULL AND pause IS NULL
       AND max_retries IS NOT NULL
       AND updated_at < now() - make_interval(secs => :grace)
     ORDER BY id
    """
)

_WAITING = text(
    """
    SELECT id, job_id, job_type, status, message_id, updated_at FROM job_executions
     WHERE (status = 'pending' AND published_at IS NOT NULL
            OR status = 'failed' AND dead_at IS NULL)
       AND message_id IS NOT NULL AND updated_at < now() - make_interval(secs => :grace)
       AND id > :after
     ORDER BY id LIMIT :limit
    """
)

_COMPLETED = text(
    """
    SELECT job_id FROM job_executions
     WHERE job_id = ANY(CAST(:job_ids AS text[])) AND status = 'completed'
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same on both sides.

    Attributes:
        subject: A job's, a dead letter's or a schedule's id.
        apply: Makes the repair and returns whether it is done; None if a person must decide.
    """

    kind: str
    subject: str
    found: str
    repair: str
    apply: Callable[[], bool] | None = None


def differences(*, grace: float = sweep.GRACE) -> Iterator[Difference]:
    """Compare, and yield each difference as it is found.

    Args:
        grace: Seconds for which a row is left alone since its last change.

    Raises:
        PublishUnavailable, PublishRefused: QStash does not tell what it has.
        DatabaseUnavailable: Nor does the database.
    """
    yield from _unpublished(grace)
    # Before what is missing: a message in the dead-letter queue is not among the messages.
    yield from _dead_letters()
    yield from _missing(grace)
    for change in schedules.plan():
        yield _schedule(change)


def _unpublished(grace: float) -> Iterator[Difference]:
    known = relay.known_types()
    for row in in_transaction(lambda tx: tx.execute(_UNPUBLISHED, {"grace": grace}).all()):
        if row.job_type not in known:
            yield _unknown_type(row)
            continue
        yield Difference(
            kind="unpublished",
            subject=str(row.job_id),
            found="pending here, never published",
            repair="publish",
            apply=lambda: sweep.sweep(grace=grace).problem is None,
        )


def _dead_letters() -> Iterator[Difference]:
    for page in sweep.dead_letter_pages():
        yield from map(_unsettled, sweep.unsettled(page))
        letters = {letter.job_id: entry.dlq_id for letter, entry in sweep.jobs_of(page)}
        found = {"job_ids": list(letters)}
        completed = in_transaction(lambda tx, found=found: tx.execute(_COMPLETED, found).scalars())  # type: ignore[misc]  # mypy cannot infer a default's type
        yield from (_completed(str(job_id), letters[str(job_id)]) for job_id in completed)


def _missing(grace: float) -> Iterator[Difference]:
    """Yield what waits for a message that QStash does not have."""
    after, known = 0, relay.known_types()
    while True:
        asked = {"grace": grace, "after": after, "limit": PAGE}
        rows = in_transaction(lambda tx, asked=asked: tx.execute(_WAITING, asked).all())  # type: ignore[misc]  # as above
        for row in rows:
            try:
                exists = _exists(row.message_id)
            except PublishError as error:
                if isinstance(error, PublishUnavailable) and error.is_outage:
                    raise
                yield _unanswered(row, error)
                continue
            if not exists:
                yield _missing_one(row, known)
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _missing_one(row: Row[Any], known: Sequence[str]) -> Difference:
    if row.job_type not in known:
        return _unknown_type(row)
    return _ended_elsewhere(row) if get_job_config(row.job_type).is_external else _lost(row)


def _ended_elsewhere(row: Row[Any]) -> Difference:
    """Read QStash's log: the job may be done, and its callback lost. Never publish it again."""
    if external_attempts.was_delivered(row.message_id):
        return Difference(
            kind="delivered",
            subject=str(row.job_id),
            found=f"{row.status} here, but its worker accepted message {row.message_id}",
            repair="mark the job completed",
            apply=lambda: external_attempts.complete(str(row.job_id), row.message_id),
        )
    return Difference(
        kind="unanswered",
        subject=str(row.job_id),
        found=f"{row.status} here, but QStash no longer knows message {row.message_id}",
        repair="none: ask its worker, then retry or cancel the job",
    )


def _lost(row: Row[Any]) -> Difference:
    def apply() -> bool:
        given = {name: getattr(row, name) for name in ("job_id", "message_id", "updated_at")}
        put_back = in_transaction(lambda tx: tx.execute(message_sql.PUT_BACK_LOST, given).all())
        return relay.publish(put_back).waiting == 0

    return Difference(
        kind="lost",
        subject=str(row.job_id),
        found=f"{row.status} here, but QStash has no message {row.message_id}",
        repair="publish again",
        apply=apply,
    )


def _unsettled(letter: GivenUpMessage) -> Difference:
    return Difference(
        kind="dead-letter",
        subject=letter.job_id,
        found=letter.error,
        repair="mark the job dead",
        apply=lambda: sweep.take_over(letter),
    )


def _completed(job_id: str, dlq_id: str) -> Difference:
    def apply() -> bool:
        outbox.publisher().call(lambda qstash: qstash.dlq.delete_many([dlq_id]))
        return True

    return Difference(
        kind="needless-letter",
        subject=job_id,
        found=f"completed here, but QStash has a dead letter {dlq_id}",
        repair="delete the letter",
        apply=apply,
    )


def _schedule(change: Change) -> Difference:
    def apply() -> bool:
        schedules.apply([change])
        return True

    wanted = "declared in code" if change.declared else "not declared in code any more"
    if change.calls is not None:
        wanted = f"a schedule of this id calls {change.calls}"
    return Difference(
        kind="schedule",
        subject=change.schedule_id,
        found=f"{wanted}: {change.cron}",
        repair=f"{change.action} the schedule" if change.calls is None else "none: see sync",
        apply=apply if change.calls is None else None,
    )


def _unknown_type(row: Row[Any]) -> Difference:
    return Difference(
        kind="unknown-type",
        subject=str(row.job_id),
        found=f"this app has no job type {row.job_type!r}",
        repair="none: restore the type, or cancel the job",
    )


def _unanswered(row: Row[Any], error: PublishError) -> Difference:
    return Difference(
        kind="unanswered",
        subject=str(row.job_id),
        found=f"QStash does not report on message {row.message_id}: {error}",
        repair="none: ask again later",
    )


def _exists(message_id: str) -> bool:
    # An id came by a header that nobody signs: it must not become another request.
    path = quote(message_id, safe="")
    try:
        outbox.publisher().call(lambda qstash: qstash.message.get(path))
    except PublishError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True
