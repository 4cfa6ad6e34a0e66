"""The job types of an app, and how each is run."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import current_app
from flask.sansio.app import App
from marshmallow import fields

from .context import Job
from .errors import (
    DiscoveryError,
    InvalidOption,
    JobsNotInitialised,
    UnknownJobType,
    quoted,
)
from .middleware import Middleware
from .schemas import PayloadSchema
from .values.backoff import RetryDelay
from .values.limits import Limit, Rate, limit_of
from .values.nearest import hint
from .values.options import FlowControl, Options, normalise
from .values.retention import Retention
from .values.unique import Unique

Handler = Callable[[Any, Job], Any]
#: From a payload's wire form in one version to the next; may change its argument.
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
#: What an enqueue says of it: False is not at all, None as the type says.
GivenUnique = Unique | Literal[False] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobConfig:
    """One job type; `job_options.JobOptions` says what its options mean.

    Attributes:
        endpoint: The path that QStash delivers to, below BASE_URL; of a type whose worker is
            elsewhere, that worker's URL.

    Raises:
        DiscoveryError: An option that QStash would refuse.
    """

    type: str
    endpoint: str
    handler: Handler
    schema: PayloadSchema[Any] = field(repr=False)
    retries: int = 3
    timeout: int = 60
    description: str = ""
    heartbeat: int | None = None
    acts_outside: bool = False
    unwatched: bool = False
    forgets_empty: bool = False
    queue: str | None = None
    flow_control: FlowControl | None = None
    sealed: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    retention: Retention = field(default_factory=dict, repr=False)
    version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict, repr=False)
    retry_delay: RetryDelay | None = None
    adapt: Upgrade | None = field(default=None, repr=False)
    middleware: tuple[Middleware, ...] = field(default=(), repr=False)
    per: str | None = None
    parallelism: int | None = None
    rate: Rate | None = None
    unique: Unique | None = None
    limit: Limit | None = field(init=False, repr=False, compare=False)
    _options: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_options", normalise(self._declared, {}))
            object.__setattr__(self, "limit", self._checked_limit())
            object.__setattr__(self, "unique", self.unique_with(self.unique or False))
        except InvalidOption as error:
            at = "" if self.is_external else f" ({where(self.handler)})"
            raise DiscoveryError(f"job type {self.type!r}{at}: {error}") from None

    def _checked_limit(self) -> Limit | None:
        plain = {
            one.data_key or name: name
            for name, one in self.schema.fields.items()
            if isinstance(one, fields.String | fields.Number | fields.Boolean | fields.UUID)
        }
        sealed = {path.partition(".")[0] for path in self.sealed}
        names = [name for name in plain if name not in sealed]
        per = next((name for name in names if plain[name] == self.per), self.per)
        found = limit_of(per, self.parallelism, self.rate, names)
        if found is not None and (self.queue or self.flow_control):
            other = "queue" if self.queue else "flow_control"
            reason = (
                "QStash's queues know no limits"
                if self.queue
                else "a message of QStash's has one flow-control key"
            )
            raise InvalidOption(f"per and {other}: {reason}; leave out one of them")
        return found

    def unique_with(self, given: Any) -> Unique | None:
        """Return the rule of one enqueue, which names its fields as the wire does.

        Args:
            given: A `Unique`, or False for none.

        Raises:
            InvalidOption: It cannot hold for jobs of this type.
        """
        if given is False:
            return None
        if not isinstance(given, Unique):
            said = f"{quoted(given)} is neither a Unique nor False"
            raise InvalidOption(f"unique: {said}; write Unique(fields=…)")
        if self.is_external:
            said = f"the worker of {self.type!r} is elsewhere, and knows of no job but its own"
            raise InvalidOption(f"unique: {said}; leave it out")
        known = {str(one.data_key or name): name for name, one in self.schema.fields.items()}
        return given.for_payload(known, self.sealed)

    @property
    def is_external(self) -> bool:
        return is_elsewhere(self.endpoint)

    def options_with(self, given: Options) -> dict[str, Any]:
        """Return the checked options of one publish; missing ones are the type's.

        Raises:
            InvalidOption: One is unknown, or QStash would refuse it.
        """
        if self.is_external and given.get("expires") is not None:
            said = f"the worker of {self.type!r} is elsewhere, and would run the job all the same"
            raise InvalidOption(f"expires: {said}; leave it out")
        return normalise(self._declared, given) if given else dict(self._options)

    @property
    def _declared(self) -> dict[str, Any]:
        names = ("retries", "retry_delay", "timeout", "queue", "flow_control")
        return {name: getattr(self, name) for name in names}


class JobRegistry:
    """The job types of one app, by name."""

    def __init__(self) -> None:
        self._configs: dict[str, JobConfig] = {}

    def add(self, config: JobConfig) -> None:
        """Register a job type.

        Raises:
            DiscoveryError: The type or its endpoint is taken.
        """
        for other in self._configs.values():
            if other.type == config.type:
                places = f"{where(other.handler)} and {where(config.handler)}"
                raise DiscoveryError(
                    f"job type {config.type!r} is registered twice: {places}; rename one of them"
                )
            if other.endpoint == config.endpoint and not config.is_external:
                types = f"{other.type!r} and {config.type!r}"
                raise DiscoveryError(
                    f"endpoint {config.endpoint} serves two job types: {types}; give one of them "
                    "another path"
                )
        self._configs[config.type] = config

    def get(self, job_type: str) -> JobConfig:
        """Return the configuration of a job type.

        Raises:
            UnknownJobType: Nobody registered it; the message names the nearest known ones.
        """
        if not isinstance(job_type, str):
            raise UnknownJobType(f"{quoted(job_type)} is not the name of a job type, a text")
        try:
            return self._configs[job_type]
        except KeyError:
            raise UnknownJobType(self._unknown(job_type)) from None

    def __iter__(self) -> Iterator[JobConfig]:
        return iter(sorted(self._configs.values(), key=lambda config: config.type))

    def _unknown(self, job_type: str) -> str:
        if not self._configs:
            return (
                f"unknown job type {job_type!r}: this app has none; register its JobBlueprint with "
                "app.register_blueprint(bp), or pass families=… to Jobs.init_app"
            )
        return f"unknown job type {job_type!r}; {hint(job_type, sorted(self._configs))}"


def registry_of(app: App) -> JobRegistry:
    """Return the app's registry.

    Raises:
        JobsNotInitialised: `Jobs.init_app` was not called on this app.
    """
    try:
        registry: JobRegistry = app.extensions["jobs"].registry
    except KeyError:
        raise JobsNotInitialised from None
    return registry


def get_job_config(job_type: str) -> JobConfig:
    """Return the current app's configuration of a job type; raises `UnknownJobType`."""
    return registry_of(current_app).get(job_type)


def is_elsewhere(endpoint: str) -> bool:
    """Tell whether an endpoint is the URL of another worker, not a path of this app."""
    return "://" in endpoint


def where(handler: Any) -> str:
    """Return where a handler is defined, also below decorators."""
    kind = type(handler)
    module = getattr(handler, "__module__", kind.__module__)
    name = f"{module}.{getattr(handler, '__qualname__', kind.__qualname__)}"
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return name if code is None else f"{name}, line {code.co_firstlineno}"
