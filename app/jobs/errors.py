"""Everything that `app.jobs` raises.

JobsError
├── JobsNotInitialised        no `Jobs.init_app` yet, or a second one
├── DiscoveryError            a family or job type that cannot be registered
├── UnknownJobType            at enqueue
├── InvalidPayload            at enqueue and on delivery; carries field → messages
├── InvalidOption             at enqueue: a delay, cron, header… that QStash would refuse
├── PublishError
│   ├── PublishUnavailable    for now: the row stays pending and is published later
│   └── PublishRefused        for good: the row is failed and dead
├── DeliveryError             a request that is not answered by running a handler
│   ├── InvalidSignature      401
│   ├── InvalidDelivery       489: a retry cannot help
│   └── NewerPayload          503: until this process, too, runs the newer code
├── IllegalTransition         a state change that the state machine does not know
├── ActionRefused             a manual action on all jobs that nobody asked for
├── ScaffoldRefused           a new job type that cannot be written
├── DatabaseUnavailable       nothing was recorded
└── HandlerError              what a handler raises to say what should happen next
    ├── PermanentError        do not retry
    ├── RetryLater            run again after a delay; spends none of the retries
    └── Continue              done so far; go on from here in another delivery

BaseException
└── Interruption              raised in a handler that must stop now
    ├── JobTimeout            its time is up
    ├── JobCancelled          somebody cancelled it
    ├── LeaseLost             another delivery has taken it over
    └── ShuttingDown          its process is told to stop

Raised without a message, an error says its docstring.
"""

from collections.abc import Mapping
from typing import Any

LONGEST_QUOTE = 80


class JobsError(Exception):
    """Something in the jobs extension went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class JobsNotInitialised(JobsError):
    """This app has no jobs extension: call `Jobs().init_app(app)` in `create_app`."""


class DiscoveryError(JobsError):
    """A job family could not be registered."""


class UnknownJobType(JobsError):
    """No job type of this name is registered: `flask jobs types` lists those that are."""


class InvalidPayload(JobsError):
    """The payload does not fit its schema."""

    def __init__(self, job_type: str, errors: Mapping[Any, Any]) -> None:
        self.job_type = job_type
        self.errors = dict(errors)
        super().__init__(f"invalid payload for {job_type!r}: {flatten(self.errors)}")


class InvalidOption(JobsError):
    """An enqueue option has a value that QStash would refuse."""


class PublishError(JobsError):
    """The job is recorded but was not published."""


class PublishUnavailable(PublishError):
    """QStash cannot be reached at the moment; the job stays pending and is published later."""


class PublishRefused(PublishError):
    """QStash refuses the message; the job is failed and dead."""


class DeliveryError(JobsError):
    """The delivery is answered without running a handler."""


class InvalidSignature(DeliveryError):
    """Invalid QStash signature"""  # noqa: D415 - the text of the answer


class InvalidDelivery(DeliveryError):
    """The delivery can never be executed, so QStash should not retry it."""

    def __init__(
        self, message: str, errors: Mapping[Any, Any] | None = None, *, job_id: str | None = None
    ) -> None:
        self.errors = dict(errors or {})
        self.job_id = job_id
        super().__init__(message)


class NewerPayload(DeliveryError):
    """Only newer code than this understands the payload."""


class IllegalTransition(JobsError):
    """The job is not in a state from which this change is possible."""


class ActionRefused(JobsError):
    """No filter was given: say which jobs, or that all of them are meant."""


class ScaffoldRefused(JobsError):
    """The new job type cannot be written as asked for."""


class DatabaseUnavailable(JobsError):
    """The database cannot be reached, so nothing was enqueued."""


class HandlerError(JobsError):
    """A handler's word on what should happen to its job."""


class PermanentError(HandlerError):
    """The job can never succeed: it is failed and dead at once, without further retries."""


class RetryLater(HandlerError):
    """The job should run again after `delay` seconds; this spends none of QStash's retries."""

    def __init__(self, delay: float, message: str | None = None) -> None:
        self.delay = delay
        super().__init__(message)


class Continue(HandlerError):
    """The job goes on in another delivery: what was done in `db.session` is kept, and `state`."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state: Any = state
        super().__init__()


class Interruption(BaseException):
    """A handler must stop now.

    Not an `Exception`, so that a handler's own `except Exception` cannot swallow it.
    """


class JobTimeout(Interruption):
    """The job ran longer than its timeout."""


class JobCancelled(Interruption):
    """The job was cancelled while it ran; raised by `job.progress()` and `job.check()`."""


class LeaseLost(Interruption):
    """Another delivery has taken the job over; raised by `job.progress()` and `job.check()`."""


class ShuttingDown(Interruption):
    """The process was told to stop, and the grace period is over."""


def flatten(errors: Mapping[Any, Any], prefix: str = "") -> str:
    """Say nested field errors in one line: `data.resetUrl: Missing data…; to: Not a valid…`."""
    parts = []
    for key, value in errors.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            parts.append(flatten(value, f"{name}."))
        else:
            parts.append(
                f"{name}: {' '.join(map(str, value)) if isinstance(value, list) else value}"
            )
    return "; ".join(parts)


def quoted(value: Any) -> str:
    """Return what was given as an error may quote it: no more of it than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
