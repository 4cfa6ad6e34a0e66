"""Commit, then publish: recorded jobs on their way to QStash.

A row that is pending and not published is the outbox; whatever is lost here (a crash, a full
queue, QStash away) is published by the sweep.
"""

import atexit
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from ..errors import (
    DatabaseUnavailable,
    JobsError,
    PublishRefused,
    PublishUnavailable,
    QuotaUsedUp,
)
from ..events import Enqueued, JobDied, Paused, Publishing, Unpublished, emit, observed
from ..message import Message
from ..registry import is_elsewhere
from ..table import job_rows
from ..table.db import in_one_statement, in_transaction
from . import quota
from .qstash import Publisher

if TYPE_CHECKING:
    from .background import BackgroundPublisher

log = logging.getLogger(__name__)

#: After this many messages that QStash does not accept for now, the messages are not the reason.
TROUBLE = 10
#: Seconds after which published jobs are noted: little beside those for which the sweep leaves a
#: row alone.
NOTE_AFTER = 2.0


def publish(messages: Sequence[Message]) -> None:
    """Publish jobs that are committed, at once or in the background, as JOBS_PUBLISH says.

    Raises:
        PublishRefused: It was a single job, and QStash will never take it; it is failed and dead.
    """
    if len(messages) == 1 and _background() is None:
        emit(Enqueued(messages))
        publish_one(messages[0])
    else:
        publish_following(messages, None)


def leave_paused(messages: Sequence[Message]) -> None:
    """Leave jobs in the outbox that a pause holds: a sweep publishes them after its end."""
    if not messages:
        return
    emit(Enqueued(messages))
    emit(Paused(messages))
    about = {"count": len(messages), "jobId": messages[0].job_id, "type": messages[0].job_type}
    log.info("[jobs] Jobs wait for a pause to end", extra=about)


def publish_following(
    messages: Sequence[Message], trouble: PublishUnavailable | None
) -> PublishUnavailable | None:
    """Do the same for jobs that follow others; never raises a refusal.

    Args:
        messages: The jobs' first ones.
        trouble: Why those before them stay pending; so do these then.

    Returns:
        Why it stopped before the last one, if it did; those that are left stay pending.
    """
    emit(Enqueued(messages))
    background = _background()
    if trouble is not None:
        emit(Unpublished(messages, refused=False, reason=str(trouble)))
        about = {"count": len(messages), "error": str(trouble)}
        log.warning("[jobs] Jobs not published yet", extra=about)
        return trouble
    if background is not None:
        background.put(messages)
        return None
    return publish_batch(messages)


def publish_one(message: Message) -> bool:
    """Hand one job to QStash, and note its message id a moment later.

    Returns:
        False if QStash does not take it at the moment: the row stays pending.

    Raises:
        PublishRefused: QStash will never take it; the job is failed and dead.
    """
    return _publish_alone(message) is None


def _publish_alone(message: Message) -> PublishUnavailable | None:
    """Hand one job to QStash; return why it stays pending, if it does. Raises as `publish_one`."""
    try:
        with observed(Publishing(messages=[message])):
            message_id = publisher().publish(message)
    except PublishUnavailable as error:
        _leave([message], error)
        return error
    except PublishRefused as refusal:
        _bury(message, str(refusal))
        log.error("[jobs] Job rejected by QStash", extra=_about(message, error=str(refusal)))  # noqa: TRY400 - the message says it all
        raise
    _published([(message, message_id)])
    return None


def publish_batch(messages: Sequence[Message]) -> PublishUnavailable | None:
    """Hand jobs to QStash in order, in as few requests as it takes; never raises a refusal.

    Returns:
        Why it stopped before the last one, if it did; those that are left stay pending.
    """
    asked = 0
    for chunk in batches(messages):
        before, asked = asked, asked + len(chunk)
        try:
            with observed(Publishing(messages=chunk)):
                ids = publisher().publish_many(chunk)
        except PublishUnavailable as error:
            if error.is_outage or len(chunk) == 1:
                _leave(messages[before:], error)
                return error
            ids = [None] * len(chunk)
        except PublishRefused:
            ids = [None] * len(chunk)
        _published([(message, found) for message, found in zip(chunk, ids, strict=True) if found])
        # QStash names no reason to act on in a batch: asked alone, it says which it is.
        left = [message for message, found in zip(chunk, ids, strict=True) if not found]
        if trouble := _publish_each(left):
            _leave(messages[asked:], trouble)
            return trouble
    return None


def batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Divide messages, in order, into what one batch request carries."""
    start = size = 0
    for index, message in enumerate(messages):
        is_full = index - start == Publisher.BATCH
        if is_full or (start < index and size + len(message.body) > Publisher.BATCH_BYTES):
            yield messages[start:index]
            start, size = index, 0
        size += len(message.body)
    if start < len(messages):
        yield messages[start:]


def _publish_each(messages: Sequence[Message]) -> PublishUnavailable | None:
    """Hand jobs to QStash one by one, so that one that it does not take holds up no other.

    Returns:
        Why it stopped early: the outage, or the last of `TROUBLE` failures.
    """
    failures = 0
    for index, message in enumerate(messages):
        try:
            trouble = _publish_alone(message)
        except PublishRefused:
            continue  # logged, and on the row
        failures += trouble is not None
        if trouble is not None and (trouble.is_outage or failures == TROUBLE):
            _leave(messages[index + 1 :], trouble)
            return trouble
    return None


def _leave(messages: Sequence[Message], error: PublishUnavailable) -> None:
    """Log that jobs stay in the outbox, as an error if waiting will not help."""
    if messages:
        emit(Unpublished(messages, refused=False, reason=str(error)))
    if isinstance(error, QuotaUsedUp) and error.status:  # QStash itself has said so just now
        quota.remember(publisher().quota)
    level = logging.ERROR if error.needs_a_person else logging.WARNING
    for message in messages:
        log.log(level, "[jobs] Job not published yet", extra=_about(message, error=str(error)))


def publish_committed(messages: Sequence[Message]) -> None:
    """Publish jobs of a session that has committed (see `after_commit`), as far as they are there.

    A savepoint that was rolled back past the session's knowledge took its rows with it, and so did,
    or may yet, an outer transaction that the session had joined.
    """
    try:
        recorded, held = _recorded(messages)
        leave_paused(held)
        if recorded:
            publish(recorded)
    except JobsError:
        # What was refused is dead and logged; what was not published is found by the sweep.
        log.exception("[jobs] Jobs not published after commit")


def _recorded(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Return those whose rows others can see, and of them those that a pause holds; log others."""
    job_ids = [message.job_id for message in messages]
    found = in_one_statement(lambda tx: job_rows.existing(tx, job_ids))
    for message in messages:
        if message.job_id not in found:
            log.info("[jobs] Job not published: not committed", extra=_about(message))
    there = [message for message in messages if message.job_id in found]
    free = [message for message in there if found[message.job_id] is None]
    return free, [message for message in there if found[message.job_id] is not None]


def _background() -> "BackgroundPublisher | None":
    found: BackgroundPublisher | None = current_app.extensions["jobs"].background
    return found


def publisher() -> Publisher:
    found: Publisher = current_app.extensions["jobs"].publisher
    return found


def _bury(message: Message, reason: str) -> None:
    emit(Unpublished([message], refused=True, reason=reason))
    try:
        buried = in_transaction(lambda tx: job_rows.mark_dead(tx, message.job_id, reason))
    except DatabaseUnavailable as error:
        # The sweep publishes it again, and hears the same.
        log.warning("[jobs] Rejection not recorded", extra=_about(message, error=str(error)))
        return
    if buried:
        emit(JobDied(message.job_type))


def notes() -> "Notes":
    found: Notes = current_app.extensions["jobs"].notes
    return found


def _published(published: Sequence[tuple[Message, str]]) -> None:
    for message, message_id in published:
        log.info("[jobs] Job enqueued successfully", extra=_about(message, messageId=message_id))
    notes().put(published)


class Notes:
    """Which messages QStash has, noted on their rows a moment later, many together.

    Most jobs are claimed by then. Their claims have noted the same, and there is nothing to write.
    A process that is killed before leaves rows that look unpublished: the sweep publishes them
    again, which QStash drops.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: deque[tuple[Message, str]] = deque()
        self._writing = Lock()
        self._timed_in = 0  # the process that has a timer; in a fork it is another's

    def put(self, published: Sequence[tuple[Message, str]]) -> None:
        """Note them soon: at once where a test may look, or no claim of ours will come soon."""
        if self._app.testing or any(_is_claimed_late(message) for message, _ in published):
            _note(published)
            return
        self._waiting.extend(published)
        if published and self._timed_in != os.getpid():
            self._start_timer()

    def flush(self) -> None:
        """Note what waits. Then all is noted that was put before, if the database is there."""
        with self._writing:
            self._timed_in = 0
            while self._waiting:
                count = min(len(self._waiting), Publisher.BATCH)
                _note([self._waiting.popleft() for _ in range(count)])

    def _start_timer(self) -> None:
        self._timed_in = os.getpid()
        atexit.register(self._time_is_up)
        timer = Timer(NOTE_AFTER, self._time_is_up)
        timer.daemon = True  # the end of the process does not wait for it, but is its time
        try:
            timer.start()
        except RuntimeError:  # no more threads, or the process is about to end
            self._time_is_up()

    def _time_is_up(self) -> None:
        atexit.unregister(self._time_is_up)
        with self._app.app_context():
            self.flush()


def _is_claimed_late(message: Message) -> bool:
    return message.available_at is not None or is_elsewhere(message.endpoint)


def _note(published: Sequence[tuple[Message, str]]) -> None:
    """Note message ids.

    Without the database the jobs are recorded and published all the same: the caller
    must not see an error. The sweep publishes them again, which QStash drops, and notes it then.
    """
    try:
        if published:
            job_rows.note_published(published)
    except DatabaseUnavailable as error:
        for message, message_id in published:
            about = _about(message, messageId=message_id, error=str(error))
            log.warning("[jobs] Publishing not recorded", extra=about)


def _about(message: Message, **details: str) -> dict[str, Any]:
    url = publisher().destination(message.endpoint)
    return {"jobId": message.job_id, "type": message.job_type, "url": url, **details}
