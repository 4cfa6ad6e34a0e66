"""`JobBlueprint`: one decorator makes a signed route and a registry entry."""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, update_wrapper, wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App

from . import declaration
from .any_host import AnyHostBlueprint
from .context import Job
from .enqueue import enqueuer, many, scheduling
from .enqueue.signatures import Signature, SignatureOptions
from .errors import DiscoveryError
from .execute.delivery import signed
from .execute.executor import deliver
from .job_options import JobOptions, check_options
from .job_types import JOB_TYPES
from .payload import loading, sealing
from .registry import GivenUnique, JobConfig, get_job_config, registry_of, where
from .schemas import PayloadSchema
from .table.sessions import AnySession
from .values.firing_rules import CatchUp, Overlap
from .values.ids import GivenOwnerId
from .values.options import Duration, FlowControl, Options

if TYPE_CHECKING:
    from .periodic import Periodic

P = TypeVar("P")
Result = dict[str, Any] | None
R = TypeVar("R", bound=Result | Coroutine[Any, Any, Result])
F = TypeVar("F", bound=Callable[..., Any])
FlowControlSetting = FlowControl | Callable[[Mapping[str, Any]], FlowControl | None]


class _Owned(Options, total=False):
    user_id: GivenOwnerId | None
    organization_id: GivenOwnerId | None


class EnqueueOptions(_Owned, total=False):
    """The keyword arguments of `enqueue`."""

    idempotency_key: str | None
    idempotency_ttl: Duration | None
    unique: GivenUnique
    tags: Sequence[str] | None
    session: AnySession | None


class EnqueueManyOptions(_Owned, total=False):
    """The keyword arguments of `enqueue_many`."""

    unique: GivenUnique
    tags: Sequence[str] | None
    session: AnySession | None


class ScheduleOptions(_Owned, total=False):
    """The keyword arguments of `schedule`."""

    schedule_id: str | None
    overlap: Overlap
    jitter: Duration | None
    catch_up: CatchUp
    timezone: str | None
    tags: Sequence[str] | None


class Enqueueable(Generic[P]):
    """A job type by its name.

    Type checkers take the payload's class alone, so that a wrong field or option is an error at
    the call. JSON that comes from elsewhere goes to `app.jobs.enqueue`, with the type's name.
    """

    def __init__(self, job_type: str) -> None:
        self.type = job_type

    def enqueue(self, payload: P, **options: Unpack[EnqueueOptions]) -> enqueuer.JobId:
        """`app.jobs.enqueue` for this type."""
        return enqueuer.enqueue(self.type, payload, **options)

    def enqueue_many(
        self, payloads: Iterable[P], **options: Unpack[EnqueueManyOptions]
    ) -> many.JobIds:
        """`app.jobs.enqueue_many` for this type."""
        return many.enqueue_many(self.type, payloads, **options)

    def schedule(self, cron: str, payload: P, **options: Unpack[ScheduleOptions]) -> str:
        """`app.jobs.schedule` for this type."""
        return scheduling.schedule(self.type, cron, payload, **options)

    def s(self, payload: P, **options: Unpack[SignatureOptions]) -> Signature:
        """Return a job of this type that is not enqueued yet, for what is made of several jobs."""
        return Signature(self.type, payload, options)

    @property
    def config(self) -> JobConfig:
        return get_job_config(self.type)


class JobType(Enqueueable[P], Generic[P, R]):
    """A handler that can also be enqueued; calling it is calling the plain function."""

    def __init__(self, handler: Callable[[P, Job], R], declared: JobConfig) -> None:
        super().__init__(declared.type)
        self.handler = handler
        self.declared = declared
        self.schedules: list[Periodic] = []
        update_wrapper(self, handler)

    def __call__(self, payload: P, job: Job) -> R:
        return self.handler(payload, job)


def _as_written(method: F) -> F:
    """Refuse a call that Python would, such as a bare `@bp.job`, with what to write instead."""
    signature = inspect.signature(method)

    @wraps(method)
    def checked(self: "JobBlueprint", *args: Any, **options: Any) -> Any:
        try:
            signature.bind(self, *args, **options)
        except TypeError as error:
            given = args[0] if args else None
            about = f" of {where(given)}" if inspect.isfunction(given) else ""
            raise DiscoveryError(
                f"`@bp.job`{about} in the blueprint {self.name!r}: {error}; "
                "write `@bp.job('send-sms', '/sms', payload=SmsSchema)`, with your names"
            ) from None
        return method(self, *args, **options)

    return checked  # type: ignore[return-value]  # takes what the method does


class JobBlueprint(AnyHostBlueprint):
    """A family of jobs: a blueprint below `/api/jobs` whose job routes only QStash can call."""

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        options.setdefault("url_prefix", "/api/jobs")
        super().__init__(name, import_name, **options)
        self.job_types: list[JobType[Any, Any]] = []

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register as any blueprint, but only once with an app, whether alone or nested.

        Raises:
            DiscoveryError: It is registered already.
        """
        if self in app.blueprints.values():
            raise DiscoveryError(
                f"the blueprint {self.name!r} is registered twice with this app, and each of its "
                "jobs is delivered to one address: register it once, and not at all where "
                "`families` finds it"
            )
        super().register(app, options)

    @_as_written
    def job(
        self,
        job_type: str,
        path: str,
        *,
        payload: type[PayloadSchema[P]],
        flow_control: FlowControlSetting | None = None,
        **options: Unpack[JobOptions],
    ) -> Callable[[Callable[[P, Job], R]], JobType[P, R]]:
        """Register a handler `(payload, job) -> dict | None`, or an `async def`, for a job type.

        Args:
            job_type: The name on the wire, in kebab case; the module bears it in snake case.
            path: Where QStash delivers, below the blueprint's prefix.
            payload: The schema; what it loads to is what the handler gets.
            flow_control: A `FlowControl`, or a function from the app's configuration to one.
            **options: See `JobOptions`.

        Raises:
            DiscoveryError: The handler could not be called, or not be delivered to, as declared;
                raised when it is decorated.
        """

        def register(handler: Callable[[P, Job], R]) -> JobType[P, R]:
            declaration.check_handler(job_type, path, payload, handler)
            about = f"job type {job_type!r} ({where(handler)})"
            self._refuse_taken(job_type, about)
            declared = JobConfig(
                type=job_type,
                endpoint=path,
                handler=handler,
                schema=payload(),
                flow_control=None if callable(flow_control) else flow_control,
                **check_options(about, options, JobOptions),
            )

            def serve(state: BlueprintSetupState) -> None:
                config = replace(
                    declared,
                    endpoint=f"{(state.url_prefix or '').rstrip('/')}{path}",
                    schema=payload(),
                    flow_control=_limit(flow_control, state.app.config),
                )
                _serve(state, path, config)

            self._at_registration(serve, about)
            JOB_TYPES.add(job_type)
            made = JobType(handler, declared)
            self.job_types.append(made)
            return made

        return register

    def _at_registration(self, serve: Callable[[BlueprintSetupState], None], about: str) -> None:
        try:
            self.record(serve)
        except AssertionError:  # Flask's, for whatever comes too late
            raise DiscoveryError(
                f"{about}: the blueprint {self.name!r} is registered already; import this module "
                "before `register_blueprint`"
            ) from None

    def _refuse_taken(self, job_type: str, about: str) -> None:
        for other in self.job_types:
            if other.type == job_type:
                said = f"{where(other.handler)} has this name already; rename one of them"
                raise DiscoveryError(f"{about}: {said}")


def _limit(given: FlowControlSetting | None, config: Mapping[str, Any]) -> FlowControl | None:
    return given(config) if callable(given) else given


def _serve(state: BlueprintSetupState, path: str, config: JobConfig) -> None:
    """Add a job type to the app that the blueprint is registered with."""
    loading.check_upgrades(config)
    sealing.check_sealed(config, state.app.config)
    registry = registry_of(state.app)
    of_app = state.app.extensions["jobs"].middleware
    config = replace(config, middleware=(*of_app, *config.middleware))
    registry.add(config)
    _refuse_served(state.app, config)
    state.add_url_rule(path, config.type, signed(partial(deliver, config)), methods=["POST"])


def _refuse_served(app: App, config: JobConfig) -> None:
    """Refuse the path of another view, whose answer QStash would take for the job's."""
    for rule in app.url_map.iter_rules():
        if rule.rule == config.endpoint and "POST" in (rule.methods or ("POST",)):
            raise DiscoveryError(
                f"job type {config.type!r} ({where(config.handler)}): {config.endpoint} is the "
                f"path of the view {rule.endpoint!r} already; give the job another"
            )
