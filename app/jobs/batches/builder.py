"""A batch: any number of jobs, whose end is noticed once, and followed by one more job.

Its jobs are written out as they are added, and recorded together, with the batch, when the `with`
block ends. From there on the database counts: see `table.batches`.
"""

from collections.abc import Iterable
from itertools import groupby
from random import randrange
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from ..context import Job
from ..enqueue import unique as unique_jobs
from ..enqueue.enqueuer import JobId
from ..enqueue.many import CHUNK, CHUNK_BYTES, publish_changed
from ..enqueue.signatures import Signature, Written
from ..enqueue.terms import Owner
from ..errors import BatchRefused
from ..message import Message
from ..table import batches, job_rows
from ..table.attempts import within
from ..table.batches import BATCH, Slots
from ..table.db import db
from ..table.sessions import AnySession
from ..values.ids import GivenOwnerId
from ..values.several import check_several
from .recorded import (
    FIRST_DRAWN,
    LAST_DRAWN,
    LONGEST_NAME,
    ON_FAILURE,
    THEN,
    Recorded,
    check_job,
    check_text,
)

MOST_JOBS = 100_000
#: Over so many slots jobs are spread that end at the same time: those of one wait for each other's
#: commit.
MOST_SLOTS = 64


class Batch(Recorded):
    """What `batch` and `batch_of` return; `enqueue` adds jobs within its `with` block.

    Attributes:
        existing: After the block: which job there was already, by the id that `enqueue` gave the
            unique one. It is no job of this batch, which does not wait for it.
    """

    noun = "batch"

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        self._jobs: list[Written] = []
        self._unique: list[job_rows.Recorded] = []
        self.existing: dict[str, JobId] = {}

    def enqueue(self, signature: Signature) -> str:
        """Add a job, which is recorded when the block ends; return its id.

        A unique job of which there is one already is not recorded: see `existing`.

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
        check_several("signatures", signatures)
        return [self.enqueue(signature) for signature in signatures]

    @property
    def _messages(self) -> list[Message]:
        messages = [job.message for job in self._jobs]
        return [message for message in messages if message.job_id not in self.existing]

    def _record(self) -> None:
        super()._record()
        publish_changed(self._unique, self._session)

    def _insert_unique(self, tx: Connection) -> list[str]:
        """Record the unique jobs, and return those that are new, and so of this batch."""
        jobs = [job for job in self._jobs if job.message.unique is not None]
        self.existing, self._unique = {}, []
        for owner, alike in groupby(jobs, lambda job: job.owner):
            messages = [job.message for job in alike]
            recorded = unique_jobs.record_all(messages, owner.columns, within(tx))
            self._unique += recorded
            for message, one in zip(messages, recorded, strict=True):
                if one.job_id != message.job_id:
                    self.existing[message.job_id] = JobId.of(one)
        return [job.message.job_id for job in jobs if job.message.job_id not in self.existing]

    def _insert(self, tx: Connection) -> None:
        plain = [job for job in self._jobs if job.message.unique is None]
        own = self._insert_unique(tx)
        count = len(plain) + len(own)
        slots = Slots(0, min(MOST_SLOTS, count))
        if self._added_by is None:
            self._insert_new(tx, kind=BATCH)
        else:
            self._check_room(tx)
            slots = Slots(randrange(FIRST_DRAWN, LAST_DRAWN), slots.count)  # noqa: S311 - no secret
        if count:
            batches.record_slots(tx, self.id, slots, count, added_by=self._added_by)
        offset = 0
        for owner, chunk in _chunks(plain):
            batches.record_jobs(tx, self.id, slots, chunk, owner, offset=offset)
            offset += len(chunk)
        batches.take_in(tx, self.id, slots, own, offset=offset)
        if self._added_by is None and not count:
            batches.advance(tx, self.id)

    def _check_room(self, tx: Connection) -> None:
        self._check_running(tx)
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
    check_text("name", name, LONGEST_NAME)
    owner = Owner(user_id=user_id, organization_id=organization_id)
    made = Batch(str(uuid4()), name, owner, session)
    made.follow(THEN, then)
    made.follow(ON_FAILURE, on_failure)
    return made


def batch_of(job: Job | None) -> Batch:
    """Return the batch that a running job is of, to add jobs to in a `with` block.

    They are recorded in `db.session`, so they exist when the job has completed, and not before. The
    batch cannot end without them. In a workflow they count for the job's step, which ends with the
    last of them.

    Raises:
        BatchRefused: The job is of no batch, or is none.
    """
    job = check_job("batch_of", job)
    if job.batch_id is None:
        raise BatchRefused(f"job {job.id} is of no batch: enqueue it in one to add to it")
    owner = Owner(user_id=job.user_id, organization_id=job.organization_id)
    return Batch(job.batch_id, job.batch_id, owner, db.session, added_by=job.id)


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
        columns, chunk, size = group[0].columns, list[Message](), 0
        for job in group:
            chunk.append(job.message)
            size += len(job.message.body)
            if len(chunk) == CHUNK or size >= CHUNK_BYTES:
                yield columns, chunk
                chunk, size = [], 0
        if chunk:
            yield columns, chunk
