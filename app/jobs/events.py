"""Events that an app's jobs emit: the one seam for metrics and traces.

An observer is called with each event, in the thread and at the moment in which it happens. It
cannot disturb a job: what it raises is logged.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import TypeVar

from flask import Flask, current_app
from flask.sansio.app import App

from .errors import Interruption, JobsNotInitialised
from .message import Message
from .outcome import LABELS
from .table.attempts import Attempt

__all__ = [
    "LABELS",
    "Attempt",
    "Delivered",
    "Ended",
    "Enqueued",
    "Enqueueing",
    "Event",
    "Executing",
    "Followed",
    "JobDied",
    "JobPrepared",
    "Message",
    "Observer",
    "Paused",
    "Publishing",
    "SignatureFailed",
    "Started",
    "Step",
    "Unpublished",
    "add_signers",
    "emit",
    "observe",
    "signers",
]

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, kw_only=True)
class Step:
    """Something that takes time: told when it begins, and when it ends.

    Attributes:
        seconds: How long it took.
        error: The class of what it failed with.
        exception: What it failed with, where that is an exception; with what is hidden from logs
            (sealed fields, values in the database's messages) it is one that says the same
            without it, of the class `JobFailed`.
    """

    seconds: float = field(default=0.0, init=False)
    error: str | None = field(default=None, init=False)
    exception: BaseException | None = field(default=None, init=False, repr=False)


@dataclass(slots=True, eq=False, kw_only=True)
class Enqueueing(Step):
    """Validating, recording and, without a caller's session, publishing."""

    job_type: str


@dataclass(slots=True, eq=False, kw_only=True)
class Publishing(Step):
    """One request to QStash."""

    messages: Sequence[Message]


@dataclass(slots=True, eq=False, kw_only=True)
class Executing(Step):
    """One run of a handler."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Started:
    step: Step


@dataclass(frozen=True, slots=True)
class Ended:
    step: Step


@dataclass(frozen=True, slots=True)
class JobPrepared:
    """A call enqueues; an observer may add to the headers that every message of its jobs has."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """Jobs are committed, and about to be published for the first time."""

    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Followed:
    """The end of others enqueued jobs: steps of a workflow, or what follows a batch.

    Told by who publishes them first, and not where a sweep does so after a crash.
    """

    job_types: Sequence[str]


@dataclass(frozen=True, slots=True)
class Unpublished:
    """QStash did not take jobs: for now, or as `refused` says for good; `reason` says why."""

    messages: Sequence[Message]
    refused: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """Jobs were enqueued under a pause: they are published when it has ended."""

    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A verified delivery is answered; `outcome` is one of `outcome.LABELS`."""

    job_type: str
    outcome: str


@dataclass(frozen=True, slots=True)
class JobDied:
    """A job failed for good, in whatever way."""

    job_type: str


@dataclass(frozen=True, slots=True)
class SignatureFailed:
    """A request was not signed by whom it should be: "qstash", or a source of webhooks."""

    source: str


Event = (
    Started
    | Ended
    | JobPrepared
    | Enqueued
    | Followed
    | Unpublished
    | Paused
    | Delivered
    | JobDied
    | SignatureFailed
)
Observer = Callable[[Event], None]

_SIGNERS = "jobs.signers"

S = TypeVar("S", bound=Step)


def observe(app: Flask, observer: Observer) -> None:
    """Have an observer told of everything from now on.

    Raises:
        JobsNotInitialised: The app has no jobs yet.
    """
    if "jobs" not in app.extensions:
        raise JobsNotInitialised("this app has no jobs to observe yet: call Jobs.init_app before")
    app.extensions["jobs"].observers.append(observer)


def add_signers(app: App, names: Iterable[str]) -> None:
    """Name others than QStash by whom requests are signed; `names` may grow later."""
    app.extensions.setdefault(_SIGNERS, []).append(names)


def signers(app: App) -> list[str]:
    """Return each `source` that a `SignatureFailed` of this app may have."""
    return ["qstash", *chain.from_iterable(app.extensions.get(_SIGNERS, []))]


def emit(event: Event) -> None:
    for observer in current_app.extensions["jobs"].observers:
        try:
            observer(event)
        except Interruption:
            raise  # of the handler that this happens in; no observer's own
        except BaseException:
            log.exception("[jobs] Observer failed")


@contextmanager
def observed(step: S) -> Iterator[S]:
    """Tell of a step's beginning and end."""
    start = monotonic()
    emit(Started(step))
    try:
        yield step
    except BaseException as error:
        step.error, step.exception = type(error).__name__, error
        raise
    finally:
        step.seconds = monotonic() - start
        emit(Ended(step))
