"""What is filled in a `with` block and recorded as a whole at its end, or not at all."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from ..context import Job
from ..enqueue.enqueuer import uncertain
from ..enqueue.signatures import Signature, Writer, Written
from ..enqueue.terms import Owner
from ..errors import BatchRefused, DatabaseUnavailable, quoted
from ..events import Enqueueing, observed
from ..message import Message
from ..publish import outbox, relay
from ..table import batches
from ..table.after_commit import after_commit
from ..table.db import connection_of, in_one_statement, in_transaction, translate_database_errors
from ..table.sessions import AnySession, check_session
from ..values import jsonb

LONGEST_NAME = 255
#: What a running job adds gets slots of its own, with numbers that nobody else is likely to draw.
FIRST_DRAWN, LAST_DRAWN = 2**16, 2**31 - 2**16

#: The jobs that follow the end.
THEN, ON_FAILURE = "then", "on_failure"


class Recorded(ABC):
    """A batch or a workflow that is being made, or added to by one of its jobs.

    Attributes:
        id: A UUID; all jobs know it as `job.batch_id`.
    """

    #: What it is called in what errors say.
    noun: str

    def __init__(
        self,
        batch_id: str,
        name: str,
        owner: Owner,
        session: AnySession | None,
        added_by: str | None = None,
    ) -> None:
        if session is not None:
            check_session(session)
        self.id = batch_id
        self.name = name
        self._owner = owner
        self._session = session
        #: The running job that adds to it; None of a new one.
        self._added_by = added_by
        self._writer = Writer(owner)
        self._follows: dict[str, Signature] = {}
        self._following: dict[str, Written] = {}
        self._opened: ExitStack | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        if self._opened is not None:
            raise BatchRefused(
                f"{self} was opened before: each `with` needs a {self.noun} of its own"
            )
        with ExitStack() as opening:
            opening.enter_context(observed(Enqueueing(job_type=self.noun)))
            # Not before: all of its jobs belong to the trace that begins here.
            for kind, signature in self._follows.items():
                self._following[kind] = self._writer.write_own(signature)
            self._opened = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed, opened = True, self._opened
        if opened is None:
            raise BatchRefused(f"{self} is not open: {self._how_to_open()}")
        with opened:
            if error is None:
                self._record()

    def __str__(self) -> str:
        return f"the {self.noun} {quoted(self.name)}"

    def follow(self, kind: str, signature: Signature | None) -> None:
        """Have a job recorded by the end; what is wrong with it is said when the block begins."""
        if signature is not None:
            self._follows[kind] = signature

    @abstractmethod
    def _insert(self, tx: Connection) -> None:
        """Record what was added, and the batch if it is new."""

    @property
    @abstractmethod
    def _messages(self) -> list[Message]:
        """Of the jobs that are recorded at once."""

    def _how_to_open(self) -> str:
        return f"write `with jobs.{self.noun}(…) as {self.noun}:`"

    def _check_open(self) -> None:
        if self._is_closed:
            raise BatchRefused(
                f"{self} is closed, as its `with` block has ended: add to it within the block, or "
                f"by `jobs.{self.noun}_of(job)` in one of its jobs"
            )
        if self._opened is None:
            raise BatchRefused(f"{self} is not open: {self._how_to_open()}")

    def _check_running(self, tx: Connection) -> None:
        found = batches.state(tx, self.id)
        if found != batches.RUNNING:
            raise BatchRefused(
                f"{self} has ended ({found or 'and was deleted'}), so nothing can be added to it: "
                "make another one"
            )

    def _insert_new(self, tx: Connection, *, kind: str) -> None:
        batches.record(tx, self.id, self.name, self._owner.columns, kind=kind)
        for following, job in self._following.items():
            batches.record_following(tx, self.id, following, job.message, job.columns)

    def _record(self) -> None:
        if self._session is not None:
            with translate_database_errors():
                self._insert(connection_of(self._session))
            messages = self._messages
            after_commit(self._session, outbox.publish_committed, messages)
            after_commit(self._session, _publish_started, [] if messages else [self.id])
            return
        try:
            in_transaction(self._insert)
        except DatabaseUnavailable as trouble:
            if not (trouble.is_uncertain and _is_recorded(self.id)):
                raise _named(self._messages, trouble) from trouble
        messages = self._messages
        outbox.publish_committed(messages)
        _publish_started([] if messages else [self.id])


def check_job(function: str, given: object) -> Job:
    """Return what a handler is called with; raises `BatchRefused` where it is something else."""
    if not isinstance(given, Job):
        said = f"{function} takes the job that a handler is called with, not {quoted(given)}"
        raise BatchRefused(said)
    return given


def check_text(what: str, given: Any, longest: int) -> None:
    """Raise `BatchRefused` where people could not read it, or PostgreSQL not store it."""
    if not (isinstance(given, str) and given.strip() and len(given) <= longest):
        raise BatchRefused(f"{what}: {quoted(given)} is not a text of 1 to {longest} characters")
    if jsonb.clean_text(given) != given:
        raise BatchRefused(f"{what}: has NUL characters or unpaired surrogates; leave them out")


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
