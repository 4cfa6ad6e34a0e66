"""Everything that `app.jobs` raises.

JobsError
├── StartRefused              the app cannot start
│   ├── JobsNotInitialised    no `Jobs.init_app` yet, or a second one
│   └── DiscoveryError        a family or job type that cannot be registered
├── UnknownJobType            at enqueue
├── InvalidPayload            at enqueue and on delivery; carries field → messages
├── InvalidOption             at enqueue: a delay, cron, header… that QStash would refuse
├── NotUnique                 at enqueue: a job with the same key is there
├── KeyReused                 at enqueue: an idempotency key of a job with another payload
├── PublishError
│   ├── PublishUnavailable    for now: the row stays pending and is published later
│   │   └── QuotaUsedUp       not before QStash's daily quota is renewed
│   └── PublishRefused        for good (400, 413, 422): the row is failed and dead
├── DeliveryError             a request that is not answered by running a handler
│   ├── InvalidSignature      401
│   ├── InvalidDelivery       489: a retry cannot help
│   └── NewerPayload          503: until this process, too, runs the newer code
├── UpdateRefused             a row that cannot be written by hand as asked for
│   └── IllegalTransition     a state change that the state machine does not know
├── BatchRefused              a batch that cannot be made or added to as asked for
├── ActionRefused             a manual action on all jobs that nobody asked for
├── MigrationRefused          a database that has something in the way
├── ScaffoldRefused           a new job type that cannot be written
├── HandlerExited             run by hand, it raised what is no `Exception`
├── DatabaseUnavailable       nothing was recorded, or perhaps: see `job_ids`
└── HandlerError              what a handler raises to say what should happen next
    ├── PermanentError        do not retry
    ├── RetryLater            run again after a delay; spends none of the retries
    └── Continue              done so far; go on from here in another delivery

BaseException
└── Interruption              raised in a handler that must stop now
    ├── JobTimeout            its time is up
    ├── JobCancelled          somebody cancelled it
    ├── LeaseLost             another delivery has taken it over
    │   └── HandlerSilent     or may, as the handler gave no sign of life
    └── ShuttingDown          its process was told to stop

Raised without a message, an error says its docstring.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from click import ClickException

from . import durations

#: Answers of QStash's, or of a proxy before it, that pass by themselves.
_PASSING = frozenset({408, 425, 429})
_BROKEN = 500
LONGEST_QUOTE = 80


class JobsError(Exception):
    """Something in the jobs extension went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class StartRefused(JobsError, ClickException):
    """The app cannot start as it is declared; the `flask` command shows this without a trace."""


class JobsNotInitialised(StartRefused):
    """This app has no jobs extension: call `Jobs().init_app(app)` in `create_app`."""


class DiscoveryError(StartRefused):
    """A job family could not be registered."""


class UnknownJobType(JobsError):
    """No job type of this name is registered: `flask jobs types` lists those that are."""


class InvalidPayload(JobsError):
    """The payload does not fit its schema."""

    def __init__(self, job_type: str, errors: Mapping[Any, Any]) -> None:
        self.job_type = job_type
        self.errors = dict(errors)
        super().__init__(f"Invalid job payload for {job_type!r}: {flatten(self.errors)}")


class InvalidOption(JobsError):
    """An enqueue option has a value that QStash would reject."""


class NotUnique(JobsError):
    """A job with the same key is there.

    Attributes:
        job_id: Its id.
    """

    def __init__(self, job_type: str, job_id: str, fields: Sequence[str] | None) -> None:
        self.job_id = job_id
        same = "payload" if fields is None else ", ".join(fields) or "organization"
        super().__init__(
            f"{job_type} is unique, and job {job_id} has the same {same}: wait for that one, or "
            "cancel it"
        )


class KeyReused(JobsError):
    """The idempotency key belongs to a job with another payload.

    Attributes:
        job_id: Its id.
    """

    def __init__(self, job_type: str, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            f"idempotency_key: belongs to job {job_id} of {job_type}, whose payload is another: "
            "use a key of its own for each payload"
        )


class PublishError(JobsError):
    """The job is recorded but was not published.

    Attributes:
        status: What QStash answered; None where it gave no answer.
    """

    def __init__(self, message: str | None = None, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class PublishUnavailable(PublishError):
    """QStash does not accept it at the moment; the job stays pending and is published later.

    Attributes:
        is_outage: No other message would fare better: QStash cannot be reached, or limits the rate.
    """

    def __init__(
        self, message: str | None = None, *, status: int | None = None, is_outage: bool = False
    ) -> None:
        self.is_outage = is_outage
        super().__init__(message, status=status)

    @property
    def needs_a_person(self) -> bool:
        """Whether QStash answered, but rejected this app: waiting does not fix a bad token."""
        return self.status is not None and self.status not in _PASSING and self.status < _BROKEN


class QuotaUsedUp(PublishUnavailable):
    """QStash's daily quota is used up; the job stays pending and is published when it is renewed.

    Attributes:
        until: When that is.
    """

    def __init__(self, message: str, *, until: datetime, status: int | None = None) -> None:
        self.until = until
        super().__init__(message, status=status, is_outage=True)


class PublishRefused(PublishError):
    """QStash will never accept this message; the job is dead."""


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


class UpdateRefused(JobsError):
    """The job's row cannot be written with these values."""


class IllegalTransition(UpdateRefused):
    """The job is not in a state from which this change is possible."""


class BatchRefused(JobsError):
    """The batch cannot be made or added to like this; nothing was recorded."""


class SignalUnheard(BatchRefused):
    """No workflow waits for such a signal, or it has heard it before; nothing was changed."""


class ActionRefused(JobsError):
    """No filter was given: select jobs, or pass --all (everything=True in Python)."""


class MigrationRefused(JobsError):
    """The job tables cannot be created or changed in this database; nothing was changed."""


class ScaffoldRefused(JobsError):
    """The new job type cannot be generated."""


class HandlerExited(JobsError):
    """The handler raised what would end the process, such as `SystemExit`."""


class DatabaseUnavailable(JobsError):
    """The database cannot be reached.

    Attributes:
        is_outage: It is away, rather than not as this code needs it.
        is_uncertain: The answer to a COMMIT was lost, so what was to be written may be there.
        job_ids: The jobs that may have been recorded; empty where certainly none was.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        is_outage: bool = False,
        is_uncertain: bool = False,
        job_ids: Sequence[str] = (),
    ) -> None:
        self.is_outage = is_outage
        self.is_uncertain = is_uncertain
        self.job_ids = tuple(job_ids)
        super().__init__(message or "the database cannot be reached")


class HandlerError(JobsError):
    """A handler's decision on what should happen to its job."""


class PermanentError(HandlerError):
    """The job can never succeed: it is dead at once, without further retries."""


class RetryLater(HandlerError):
    """The job should run again after `delay` seconds; this spends none of QStash's retries."""

    def __init__(self, delay: float | timedelta | str, message: str | None = None) -> None:
        """Check the delay: seconds, a timedelta, or a QStash duration such as "1m30s".

        Raises:
            InvalidOption: It is none of these, negative, or more than a year.
        """
        try:
            self.delay = durations.parse_delay(delay)
        except ValueError as error:
            raise InvalidOption(f"RetryLater: {quoted(delay)} {error}") from None
        super().__init__(message or f"asked to run again in {self.delay:g} s")


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


class HandlerSilent(LeaseLost):
    """The handler sent no heartbeat until its lease expired."""


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
