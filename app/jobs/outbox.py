"""Commit, then publish: recorded jobs on their way to QStash.

A row that is pending and not published is the outbox; whatever is lost here (a crash, a full
queue, QStash away) is published by the sweep.
"""

import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask, current_app
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.jobs import executions
from app.jobs.errors import JobsError, PublishRefused, PublishUnavailable
from app.jobs.observers import Died, Enqueued, Publishing, Unpublished, observed, tell
from app.jobs.publisher import Message, Publisher
from app.jobs.transactions import in_transaction

log = logging.getLogger(__name__)

_WAITING = "jobs.waiting"
_COMMITTED = "jobs.committed"


def publish(messages: Sequence[Message]) -> None:
    """Publish jobs that are committed, at once or in the background, as JOBS_PUBLISH says.

    Raises:
        PublishRefused: It was a single job, and QStash will never take it; it is failed and dead.
    """
    tell(Enqueued(messages))
    background = current_app.extensions["jobs"].background
    if background is not None:
        background.put(messages)
    elif len(messages) == 1:
        publish_one(messages[0])
    else:
        publish_batch(messages)


def publish_one(message: Message) -> bool:
    """Hand one job to QStash and note its message id.

    Returns:
        False if QStash cannot be reached at the moment: the row stays pending.

    Raises:
        PublishRefused: QStash will never take it; the job is failed and dead.
    """
    try:
        with observed(Publishing(messages=[message])):
            message_id = publisher().publish(message)
    except PublishUnavailable as error:
        tell(Unpublished([message], refused=False))
        log.warning("[jobs] Job not published yet", extra=_about(message, error=str(error)))
        return False
    except PublishRefused as refusal:
        _bury(message, str(refusal))
        log.error("[jobs] Job refused by QStash", extra=_about(message, error=str(refusal)))  # noqa: TRY400 - the message says it all
        raise
    _note([(message, message_id)])
    return True


def publish_batch(messages: Sequence[Message]) -> None:
    """Hand jobs to QStash in order, in as few requests as it takes; never raises a refusal."""
    for start in range(0, len(messages), Publisher.BATCH):
        chunk = messages[start : start + Publisher.BATCH]
        try:
            with observed(Publishing(messages=chunk)):
                ids = publisher().publish_many(chunk)
        except PublishUnavailable as error:
            tell(Unpublished(messages[start:], refused=False))
            for message in messages[start:]:
                log.warning("[jobs] Job not published yet", extra=_about(message, error=str(error)))
            return
        except PublishRefused:
            ids = [None] * len(chunk)
        _note([(message, found) for message, found in zip(chunk, ids, strict=True) if found])
        for message in [message for message, found in zip(chunk, ids, strict=True) if not found]:
            # QStash names no reason to act on in a batch: asked alone, it says which it is.
            _publish_quietly(message)


def publish_after_commit(session: Session, messages: Sequence[Message]) -> None:
    """Publish when the session's outermost transaction has committed; a rollback forgets them."""
    inner = session.get_nested_transaction() or session.get_transaction()
    waiting = session.info.setdefault(_WAITING, [])
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    waiting.extend((inner, app, message) for message in messages)


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    """Drop what was enqueued in a savepoint, or in the whole transaction, that rolled back."""
    if _WAITING in session.info:
        kept = [one for one in session.info[_WAITING] if not _is_within(one[0], previous)]
        session.info[_WAITING] = kept


@event.listens_for(Session, "after_commit")
def _remember_commit(session: Session) -> None:
    # Releasing a savepoint counts as a commit to SQLAlchemy, but not to us.
    if _WAITING in session.info and not session.in_nested_transaction():
        session.info[_COMMITTED] = True


@event.listens_for(Session, "after_transaction_end")
def _publish_committed(session: Session, transaction: SessionTransaction) -> None:
    """Publish once the connection is back in its pool, so that QStash's time is not its time."""
    if transaction.parent is not None or _WAITING not in session.info:
        return
    waiting: list[tuple[SessionTransaction, Flask, Message]] = session.info.pop(_WAITING)
    if not session.info.pop(_COMMITTED, False) or not waiting:
        return
    with waiting[0][1].app_context():
        try:
            publish([message for _, _, message in waiting])
        except JobsError:
            # The caller's commit is done and must not look as if it had failed. What was refused
            # is dead and logged; what was not published is found by the sweep.
            log.exception("[jobs] Jobs not published after commit")


def publisher() -> Publisher:
    found: Publisher = current_app.extensions["jobs"].publisher
    return found


def _bury(message: Message, reason: str) -> None:
    tell(Unpublished([message], refused=True))
    if in_transaction(lambda tx: executions.mark_dead(tx, message.job_id, reason)):
        tell(Died(message.job_type))


def _publish_quietly(message: Message) -> None:
    try:
        publish_one(message)
    except PublishRefused:
        return  # logged, and on the row


def _note(published: Sequence[tuple[Message, str]]) -> None:
    if not published:
        return
    in_transaction(lambda tx: executions.note_published(tx, published))
    for message, message_id in published:
        log.info("[jobs] Job enqueued successfully", extra=_about(message, messageId=message_id))


def _about(message: Message, **details: str) -> dict[str, Any]:
    url = publisher().destination(message.endpoint)
    return {"jobId": message.job_id, "type": message.job_type, "url": url, **details}


def _is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer
