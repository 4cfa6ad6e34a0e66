"""`JobBlueprint`: one decorator makes a signed route and a registry entry."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from .context import Job
from .enqueue import enqueuer, scheduling
from .execute.delivery import signed
from .execute.executor import deliver
from .job_types import JOB_TYPES
from .payload import loading, sealing
from .registry import JobConfig, Upgrade, get_job_config, registry_of
from .schemas import PayloadSchema
from .values.backoff import RetryDelay
from .values.options import FlowControl

if TYPE_CHECKING:
    from .periodic import Periodic

P = TypeVar("P")
Result = dict[str, Any] | None
FlowControlSetting = FlowControl | Callable[[Mapping[str, Any]], FlowControl | None]


class JobOptions(TypedDict, total=False):
    """How a job type is run.

    Attributes:
        retries: How often QStash delivers again after a failure; 3 by default.
        retry_delay: How long QStash waits before a retry, unless `enqueue` says otherwise: its
            expression, in milliseconds, such as "1000 * pow(2, retried)"; or a function from the
            attempt that failed (1, 2, …) to seconds or a timedelta.
        timeout: Seconds that one execution may take; 60 by default.
        heartbeat: Seconds within which the handler promises to call `job.progress()` or
            `job.check()`. The lease is then that long, and extended up to the timeout.
        acts_outside: The handler has effects that no transaction takes back and no idempotency key
            guards: each claim is on the database's disk before it starts, at the price of a wait.
        unwatched: `health` leaves its jobs out of its judgement: for jobs that watch the others.
        description: One line for `flask jobs types`.
        queue: A QStash queue to deliver through, in order.
        sealed: Fields of the payload that are encrypted on the wire and in the row, as dotted
            camel-case paths such as "data.resetUrl"; through a list, the field of each item.
        version: Of the payload. Raise it when the schema no longer takes what is queued.
        upgrades: From each older version to the next: `{1: from_v1_to_v2}`, functions from
            one wire form to the other.
        adapt: From the wire form of another producer to ours. Asked for a payload that does not
            fit, on delivery of a job that this app did not enqueue.
    """

    retries: int
    retry_delay: RetryDelay
    timeout: int
    heartbeat: int
    acts_outside: bool
    unwatched: bool
    description: str
    queue: str
    sealed: tuple[str, ...]
    version: int
    upgrades: Mapping[int, Upgrade]
    adapt: Upgrade


class Enqueueable(Generic[P]):
    """A job type by its name."""

    def __init__(self, job_type: str) -> None:
        self.type = job_type

    def enqueue(self, payload: P | Mapping[str, Any], **options: Any) -> enqueuer.JobId:
        """`app.jobs.enqueue` for this type."""
        return enqueuer.enqueue(self.type, payload, **options)

    def enqueue_many(self, payloads: Iterable[P | Mapping[str, Any]], **options: Any) -> list[str]:
        """`app.jobs.enqueue_many` for this type."""
        return enqueuer.enqueue_many(self.type, payloads, **options)

    def schedule(self, cron: str, payload: P | Mapping[str, Any], **options: Any) -> str:
        """`app.jobs.schedule` for this type."""
        return scheduling.schedule(self.type, cron, payload, **options)

    @property
    def config(self) -> JobConfig:
        return get_job_config(self.type)


class JobType(Enqueueable[P]):
    """A handler that can also be enqueued; calling it is calling the plain function."""

    def __init__(self, handler: Callable[[P, Job], Result], job_type: str) -> None:
        super().__init__(job_type)
        self.handler = handler
        self.schedules: list[Periodic] = []
        update_wrapper(self, handler)

    def __call__(self, payload: P, job: Job) -> Result:
        return self.handler(payload, job)


class JobBlueprint(Blueprint):
    """A family of jobs: a blueprint below `/api/jobs` whose job routes only QStash can call."""

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        options.setdefault("url_prefix", "/api/jobs")
        super().__init__(name, import_name, **options)
        self.job_types: list[JobType[Any]] = []

    def job(
        self,
        job_type: str,
        path: str,
        *,
        payload: type[PayloadSchema[P]],
        flow_control: FlowControlSetting | None = None,
        **options: Unpack[JobOptions],
    ) -> Callable[[Callable[[P, Job], Result]], JobType[P]]:
        """Register a handler `(payload, job) -> dict | None` for a job type.

        Args:
            job_type: The name on the wire, in kebab case; the module bears it in snake case.
            path: Where QStash delivers, below the blueprint's prefix.
            payload: The schema; what it loads to is what the handler gets.
            flow_control: A `FlowControl`, or a function from the app's configuration to one.
            **options: See `JobOptions`.
        """

        def register(handler: Callable[[P, Job], Result]) -> JobType[P]:
            def serve(state: BlueprintSetupState) -> None:
                config = JobConfig(
                    type=job_type,
                    endpoint=f"{state.url_prefix or ''}{path}",
                    handler=handler,
                    schema=payload(),
                    flow_control=_limit(flow_control, state.app.config),
                    **options,
                )
                _serve(state, path, config)

            self.record(serve)
            JOB_TYPES.add(job_type)
            self.job_types.append(JobType(handler, job_type))
            return self.job_types[-1]

        return register


def _limit(given: FlowControlSetting | None, config: Mapping[str, Any]) -> FlowControl | None:
    return given(config) if callable(given) else given


def _serve(state: BlueprintSetupState, path: str, config: JobConfig) -> None:
    """Add a job type to the app that the blueprint is registered with."""
    loading.check_upgrades(config)
    sealing.check_sealed(config, state.app.config)
    registry_of(state.app).add(config)
    state.add_url_rule(path, config.type, signed(partial(deliver, config)), methods=["POST"])
