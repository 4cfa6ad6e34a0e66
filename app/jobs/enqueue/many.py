"""Many jobs in one call: validated and recorded in chunks, all or none, then published.

Neither what the caller gives nor what is made of it has to be in memory as a whole, only the ids.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Unpack

from sqlalchemy import Connection

from ..errors import DatabaseUnavailable, InvalidPayload
from ..events import Enqueueing, observed
from ..message import Message
from ..publish import outbox, relay
from ..registry import GivenUnique, get_job_config
from ..table import job_rows
from ..table.after_commit import after_commit
from ..table.attempts import within
from ..table.db import in_one_statement, in_transaction, translate_database_errors
from ..table.job_rows import Recorded
from ..table.sessions import AnySession, callers_connection
from ..values.ids import GivenOwnerId
from ..values.options import Options
from ..values.several import check_several
from ..values.unique import EnqueuedAs
from . import unique as unique_jobs
from .enqueuer import JobId, follow, publish_again, uncertain, write
from .terms import Owner, Terms

log = logging.getLogger(__name__)

#: What is recorded by one statement: at most so many jobs, and bytes of their messages.
CHUNK, CHUNK_BYTES = 1_000, 8 * 1024 * 1024


class JobIds(list[str]):
    """The ids that `enqueue_many` returns, in the order of the payloads."""

    @property
    def enqueued_as(self) -> list[EnqueuedAs]:
        """What each of them came to; see `JobId`."""
        return [one.enqueued_as if isinstance(one, JobId) else "new" for one in self]


def enqueue_many(
    job_type: str,
    payloads: Iterable[Any],
    *,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    unique: GivenUnique = None,
    tags: Sequence[str] | None = None,
    session: AnySession | None = None,
    **options: Unpack[Options],
) -> JobIds:
    """Enqueue a job for each payload, all or none, and publish them by QStash's batch request.

    Args and errors are those of `enqueue`, with two differences: `InvalidPayload.errors` maps the
    index of each bad payload to its errors, and what QStash refuses is dead but not raised.

    Args:
        job_type: As for `enqueue`.
        payloads: Read once, so a generator will do, and a hundred thousand are no burden. The
            transaction that records them is open meanwhile.
        user_id: As for `enqueue`.
        organization_id: As for `enqueue`.
        unique: As for `enqueue`, of each job. Unique jobs are in memory as a whole, and recorded
            by a statement each.
        tags: As for `enqueue`, of each job.
        session: As for `enqueue`.
        **options: As for `enqueue`.

    Returns:
        The jobs' ids, in the order of the payloads; of unique ones, some may be the same. What
        each came to is the list's `enqueued_as`.
    """
    config = get_job_config(job_type)
    check_several("payloads", payloads)
    tags = config.tags if tags is None else tags
    owner = Owner(user_id=user_id, organization_id=organization_id, tags=tags)
    with observed(Enqueueing(job_type=job_type)), translate_database_errors():
        terms = Terms.given(config, owner, options, unique)
        url = outbox.publisher().destination(config.endpoint)
        log.info("[jobs] Enqueueing jobs", extra={"type": job_type, "url": url})
        chunks = _written(terms, payloads)
        if terms.unique is not None:
            return _enqueue_unique(list(chain.from_iterable(chunks)), owner, session)
        first, second = next(chunks, []), next(chunks, [])
        if not first:
            return JobIds()
        if second or len(_alike(first)) > 1:
            ids = _enqueue_in_turn(chain([first, second], chunks), owner, session)
        else:
            ids = _enqueue_together(first, owner, session)
    return JobIds(ids)


def _written(terms: Terms, payloads: Iterable[Any]) -> Iterator[list[Message]]:
    """Validate and write out the jobs; once a payload is bad, only validate the others.

    Raises:
        InvalidPayload: After the last, if any was bad; `errors` maps the index of each to its own.
    """
    errors: dict[int, Any] = {}
    chunk: list[Message] = []
    size = 0
    for index, payload in enumerate(payloads):
        try:
            message = write(terms, payload)
        except InvalidPayload as error:
            errors[index] = error.errors
        if errors:
            continue
        chunk.append(message)
        size += len(message.body)
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if errors:
        raise InvalidPayload(terms.config.type, errors)
    if chunk:
        yield chunk


def _alike(messages: list[Message]) -> list[list[Message]]:
    """Divide messages into those that one statement records: with the same options."""
    groups: dict[int, list[Message]] = {}
    for message in messages:
        groups.setdefault(id(message.options), []).append(message)
    return list(groups.values())


def _enqueue_together(
    messages: list[Message], owner: Owner, session: AnySession | None
) -> list[str]:
    """Record jobs by one statement, and publish them."""
    job_ids = [message.job_id for message in messages]
    if session is not None:
        job_rows.record_many(callers_connection(session), messages, owner.columns)
        after_commit(session, outbox.publish_committed, messages)
        return job_ids
    try:
        pause = in_one_statement(lambda tx: job_rows.record_many(tx, messages, owner.columns))
    except DatabaseUnavailable as error:
        if not error.is_uncertain:
            raise
        raise uncertain(job_ids, error) from error
    if pause is None:
        outbox.publish(messages)
    else:
        outbox.leave_paused(messages)
    return job_ids


def _enqueue_unique(messages: list[Message], owner: Owner, session: AnySession | None) -> JobIds:
    """Record unique jobs, each by its own key, in one transaction, and publish the new ones."""

    def record(tx: Connection) -> list[Recorded]:
        return unique_jobs.record_all(messages, owner.columns, within(tx))

    if session is None:
        recorded = in_transaction(record)
    else:
        connection = callers_connection(session)
        with connection.begin_nested():
            recorded = record(connection)
    own = [one.job_id for one in recorded if not JobId.of(one).existed]
    publish_again(own, session)
    publish_changed(recorded, session)
    return JobIds(JobId.of(one) for one in recorded)


def publish_changed(recorded: Sequence[Recorded], session: AnySession | None) -> None:
    """Publish, once they are committed, those whose message comes too late, and who may begin."""
    late = [one.job_id for one in recorded if one.is_put_off]
    publish_again(list(dict.fromkeys(late)), session)
    for one in recorded:
        if one.follows is not None:
            follow(one.follows, session)


def _enqueue_in_turn(
    chunks: Iterator[list[Message]], owner: Owner, session: AnySession | None
) -> list[str]:
    """Record jobs chunk by chunk in one transaction, and publish them from their rows."""
    if session is None:
        job_ids = _record_all(chunks, owner)
        relay.publish_recorded([job_ids])
        return job_ids
    connection = callers_connection(session)
    # Who goes on after a bad payload must not commit those that came before it.
    with connection.begin_nested():
        job_ids = []
        for messages in chunks:
            _record_chunk(connection, messages, owner, job_ids)
    after_commit(session, relay.publish_recorded, [job_ids])
    return job_ids


def _record_all(chunks: Iterator[list[Message]], owner: Owner) -> list[str]:
    """Record jobs in a transaction of their own.

    Raises:
        DatabaseUnavailable: As `enqueue` does. It cannot be tried again, as what is read of the
            payloads is gone.
    """
    job_ids: list[str] = []

    def record(tx: Connection) -> None:
        if job_ids:
            raise DatabaseUnavailable("the connection broke before all jobs were recorded: none is")
        for messages in chunks:
            _record_chunk(tx, messages, owner, job_ids)

    try:
        in_transaction(record)
    except DatabaseUnavailable as error:
        if not error.is_uncertain:
            raise
        if not _is_recorded(job_ids[0]):
            raise uncertain(job_ids, error) from error
    return job_ids


def _record_chunk(
    connection: Connection, messages: list[Message], owner: Owner, job_ids: list[str]
) -> None:
    job_ids += [message.job_id for message in messages]
    for alike in _alike(messages):
        job_rows.record_many(connection, alike, owner.columns)


def _is_recorded(job_id: str) -> bool:
    """Ask for one job of a transaction whose commit was not answered; False if nobody can say."""
    try:
        return bool(in_one_statement(lambda tx: job_rows.existing(tx, [job_id])))
    except DatabaseUnavailable:
        return False
