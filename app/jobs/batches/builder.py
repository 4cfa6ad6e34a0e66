"""A batch: any number of jobs, whose end is noticed once, and followed by one more job.

Its jobs are written out as they are added, and recorded together, with the batch, when the `with`
block ends. From there on the database counts: see `table.batches`.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from random import randrange
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection

from ..context import Job
from ..enqueue.enqueuer import AnySession, Owner, uncertain
from ..enqueue.many import CHUNK, CHUNK_BYTES
from ..enqueue.signatures import Signature, Writer, Written
from ..errors import BatchRefused, DatabaseUnavailable, quoted
from ..events import Enqueueing, observed
from ..message import Message
from ..publish import outbox, relay
from ..table import batches
from ..table.after_commit import after_commit
from ..table.batches import Slots
from ..table.db import connection_of, db, in_one_statement, in_transaction
from ..values.ids import GivenOwnerId

MOST_JOBS = 100_000
LONGEST_NAME = 255
#: Over so many slots jobs are spread that end at the same time: those of one wait for each other's
#: commit.
MOST_SLOTS = 64
#: What a running job adds gets slots of its own, with numbers that nobody else is likely to draw.
_LAST_SLOT = 2**31 - 1 - MOST_SLOTS

#: The steps that follow a batch's end.
THEN, ON_FAILURE = "then", "on_failure"


class Batch:
    """What `batch` and `batch_of` return; `enqueue` adds jobs within its `with` block.

    Attributes:
        id: A UUID; all jobs of the batch know it as `job.batch_id`.
    """

    def __init__(
        self, batch_id: str, name: str, owner: Owner, session: AnySession | None, *, is_new: bool
    ) -> None:
        self.id = batch_id
        self.name = name
        self._owner = owner
        self._session = session
        self._is_new = is_new
        self._writer = Writer(owner)
        self._jobs: list[Written] = []
        self._steps: dict[str, Written] = {}
        self._open: ExitStack | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        if self._open is not None or self._is_closed:
            raise BatchRefused(f"{self} was opened before: each `with` needs a batch of its own")
        self._open = ExitStack()
        self._open.enter_context(observed(Enqueueing(job_type=self.name)))
        return self

    def enqueue(self, signature: Signature) -> str:
        """Add a job, which is recorded when the block ends; return its id.

        Raises:
            UnknownJobType, InvalidPayload, InvalidOption: As `jobs.enqueue` does.
            BatchRefused: The block has ended or not begun, or the batch has 100,000 jobs already.
        """
        self._check_open()
        if len(self._jobs) == MOST_JOBS:
            raise BatchRefused(
                f"{self} has {MOST_JOBS:,} jobs already, and may have no more: make several "
                "batches, or one of jobs that each do more"
            )
        self._jobs.append(self._writer.write(signature))
        return self._jobs[-1].message.job_id

    def enqueue_many(self, signatures: Iterable[Signature]) -> list[str]:
        """Add jobs; return their ids. Raises as `enqueue` does, at the first that is bad."""
        return [self.enqueue(signature) for signature in signatures]

    def follow(self, name: str, signature: Signature | None) -> None:
        """Have a job recorded by the batch's end; raises as `enqueue` does."""
        if signature is not None:
            self._steps[name] = self._writer.write(signature)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed, opened = True, self._open
        if opened is None:
            raise BatchRefused(f"{self} is not open: write `with jobs.batch(…) as batch:`")
        with opened:
            if error is None:
                self._record()

    def __str__(self) -> str:
        return f"the batch {quoted(self.name)}"

    def _check_open(self) -> None:
        if self._is_closed:
            raise BatchRefused(
                f"{self} is closed, as its `with` block has ended: add its jobs within the block, "
                "or by `jobs.batch_of(job)` in one of its jobs"
            )
        if self._open is None:
            raise BatchRefused(f"{self} is not open: write `with jobs.batch(…) as batch:`")

    def _record(self) -> None:
        messages = [job.message for job in self._jobs]
        if self._session is not None:
            self._insert(connection_of(self._session))
            after_commit(self._session, outbox.publish_committed, messages)
            after_commit(self._session, _publish_started, [] if messages else [self.id])
            return
        try:
            in_transaction(self._insert)
        except DatabaseUnavailable as trouble:
            if not (trouble.is_uncertain and _is_recorded(self.id)):
                raise _named(messages, trouble) from trouble
        outbox.publish_committed(messages)
        _publish_started([] if messages else [self.id])

    def _insert(self, tx: Connection) -> None:
        """Record the batch and its jobs, or only these where it is there already."""
        count = len(self._jobs)
        if self._is_new:
            batches.record(tx, self.id, self.name, _owner_columns(self._owner))
            slots = Slots(0, min(MOST_SLOTS, count))
        else:
            self._check_running(tx)
            slots = Slots(randrange(MOST_SLOTS, _LAST_SLOT), min(MOST_SLOTS, count))  # noqa: S311 - no secret
        if count:
            batches.record_slots(tx, self.id, slots, count)
        offset = 0
        for owner, chunk in _chunks(self._jobs):
            batches.record_jobs(tx, self.id, slots, chunk, owner, offset=offset)
            offset += len(chunk)
        for name, step in self._steps.items():
            batches.record_step(tx, self.id, name, step.message, _owner_columns(step.owner))
        if self._is_new and not count:
            batches.advance(tx, self.id)

    def _check_running(self, tx: Connection) -> None:
        found = batches.state(tx, self.id)
        if found != batches.RUNNING:
            raise BatchRefused(
                f"{self} has ended ({found or 'and was deleted'}), so nothing can be added to it: "
                "make another one"
            )
        if batches.count_jobs(tx, self.id) + len(self._jobs) > MOST_JOBS:
            raise BatchRefused(
                f"{self} would have more than {MOST_JOBS:,} jobs: make another one for the rest"
            )


def batch(
    name: str,
    *,
    then: Signature | None = None,
    on_failure: Signature | None = None,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    session: AnySession | None = None,
) -> Batch:
    """Return a batch to be filled in a `with` block, at whose end it is recorded as a whole.

        with jobs.batch("invoices", then=send_report.s(month)) as batch:
            for one in customers:
                batch.enqueue(send_invoice.s(Invoice(one.id)))

    It ends with its last job: as "completed" if all of them are, as "failed" if some are dead, else
    as "cancelled". Its end is recorded, and the job that follows it, in the transaction of the last
    job's outcome. One without jobs is completed at once. An exception in the block records nothing.

    Args:
        name: What people see; it need not be unique.
        then: Enqueued once all jobs have completed, if need be after retries by hand; once ever.
        on_failure: Enqueued when all jobs have ended and some of them are dead; once ever.
        user_id: Whose the batch is, and its jobs that name no other.
        organization_id: Likewise.
        session: As for `enqueue`: record in this session's transaction.

    Raises:
        InvalidOption, InvalidPayload, UnknownJobType: About `then` or `on_failure`, as `enqueue`.
        BatchRefused: The name is none.
    """
    if not (isinstance(name, str) and 0 < len(name.strip()) <= LONGEST_NAME and "\0" not in name):
        raise BatchRefused(f"name: {quoted(name)} is not a text of 1 to {LONGEST_NAME} characters")
    owner = Owner(user_id=user_id, organization_id=organization_id)
    made = Batch(str(uuid4()), name, owner, session, is_new=True)
    made.follow(THEN, then)
    made.follow(ON_FAILURE, on_failure)
    return made


def batch_of(job: Job) -> Batch:
    """Return the batch that a running job is of, to add jobs to in a `with` block.

    They are recorded in `db.session`, so they exist when the job has completed, and not before. The
    batch cannot end without them.

    Raises:
        BatchRefused: The job is of no batch.
    """
    if job.batch_id is None:
        raise BatchRefused(f"job {job.id} is of no batch: enqueue it in one to add to it")
    owner = Owner(user_id=job.user_id, organization_id=job.organization_id)
    return Batch(job.batch_id, job.batch_id, owner, db.session, is_new=False)


def _chunks(jobs: list[Written]) -> Iterable[tuple[dict[str, Any], list[Message]]]:
    """Yield the jobs in what one statement records: alike in all but their bodies, and not large.

    In their order, but those that are alike come together.
    """
    alike: dict[Any, list[Written]] = {}
    for job in jobs:
        message, owner = job.message, job.owner
        key = (message.job_type, id(message.options), owner)
        alike.setdefault(key, []).append(job)
    for group in alike.values():
        columns, chunk, size = _owner_columns(group[0].owner), list[Message](), 0
        for job in group:
            chunk.append(job.message)
            size += len(job.message.body)
            if len(chunk) == CHUNK or size >= CHUNK_BYTES:
                yield columns, chunk
                chunk, size = [], 0
        if chunk:
            yield columns, chunk


def _owner_columns(owner: Owner) -> dict[str, Any]:
    return {"user_id": owner.user_id, "organization_id": owner.organization_id}


def _publish_started(batch_ids: list[str]) -> None:
    for batch_id in batch_ids:
        relay.publish_started(batch_id)


def _is_recorded(batch_id: str) -> bool:
    """Ask for a batch whose commit was not answered; False if nobody can say."""
    try:
        return in_one_statement(lambda tx: batches.state(tx, batch_id)) is not None
    except DatabaseUnavailable:
        return False


def _named(messages: list[Message], trouble: DatabaseUnavailable) -> DatabaseUnavailable:
    if not (trouble.is_uncertain and messages):
        return trouble
    return uncertain([message.job_id for message in messages], trouble)
