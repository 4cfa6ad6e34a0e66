"""What the declaration of a job type must be: checked where it stands, before anything starts.

What would fail only when the first job runs is a `DiscoveryError` here. It names the job type and
its handler, what is wrong, and the fix.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any, TypedDict
from unicodedata import combining, normalize

from marshmallow import Schema, missing

from .context import Job
from .errors import DiscoveryError, InvalidOption, quoted
from .registry import Upgrade, where
from .schemas import PayloadSchema, WireSchema
from .values import options as publishing
from .values.backoff import RetryDelay
from .values.nearest import hint, nearest
from .values.options import Duration

#: An envelope holds no longer name, and Flask names the route by it.
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
#: What is the same in a URL, in a signature and in Flask's routing.
_PATH = re.compile(r"/|(/[A-Za-z0-9._~@:+-]+)+/?")
_EMPTY = inspect.Parameter.empty


class ExternalOptions(TypedDict, total=False):
    """How jobs of a type are delivered whose worker is elsewhere; see `JobOptions`."""

    retries: int
    retry_delay: RetryDelay
    timeout: Duration
    description: str
    queue: str


class JobOptions(ExternalOptions, total=False):
    """How a job type is run.

    Attributes:
        retries: How often QStash delivers again after a failure; 3 by default.
        retry_delay: How long QStash waits before a retry, unless `enqueue` says otherwise: a time
            as for `timeout`; its expression, in milliseconds, such as "1000 * pow(2, retried)"; or
            a function from the attempt that failed (1, 2, …) to a time.
        timeout: How long one execution may take: seconds, a timedelta, or a text such as "5m"; 60
            seconds by default.
        heartbeat: The time, as `timeout`, within which the handler promises to call
            `job.progress()` or `job.check()`. The lease is then that long, and extended up to the
            timeout.
        acts_outside: The handler has effects that no transaction takes back and no idempotency key
            guards: each claim is on the database's disk before it starts, at the price of a wait.
        unwatched: `health` leaves its jobs out of its judgement: for jobs that watch the others.
        forgets_empty: A schedule's firing leaves no row if its first attempt returns None or {}.
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

    heartbeat: Duration
    acts_outside: bool
    unwatched: bool
    forgets_empty: bool
    sealed: tuple[str, ...]
    version: int
    upgrades: Mapping[int, Upgrade]
    adapt: Upgrade


def check_handler(job_type: str, path: str, schema: Any, handler: Any) -> None:
    """Check all but the options of a handler's declaration.

    Raises:
        DiscoveryError: It could not be delivered to, or its handler not be called.
    """
    try:
        _check_type(job_type)
        _check_path(path)
        _check_schema(schema)
        _check_function(handler)
        _check_parameters(handler, schema)
    except ValueError as error:
        raise DiscoveryError(f"job type {job_type!r} ({where(handler)}): {error}") from None


def check_external(job_type: str, schema: Any) -> None:
    """Check the declaration of a type whose worker is elsewhere; raises `DiscoveryError`."""
    try:
        _check_type(job_type)
        _check_schema(schema)
    except ValueError as error:
        raise DiscoveryError(f"job type {job_type!r}: {error}") from None


def check_options(about: str, given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """Return the options as `JobConfig` takes them; what QStash makes of them, that checks.

    Args:
        about: Of what they are, for the error.
        given: By their names; None is not given.
        known: The `TypedDict` that lists them.

    Raises:
        DiscoveryError: One is unknown, or of a wrong type.
    """
    try:
        for name in given:
            _refuse_unknown(name, known)
        return {name: _option(name, value) for name, value in given.items() if value is not None}
    except (InvalidOption, ValueError) as error:
        raise DiscoveryError(f"{about}: {error}") from None


def _check_type(job_type: Any) -> None:
    if not isinstance(job_type, str) or not _TYPE.fullmatch(job_type):
        plain = normalize("NFKD", job_type if isinstance(job_type, str) else "")
        words = re.findall(r"[A-Za-z0-9]+", "".join(c for c in plain if not combining(c)))
        fix = f"write it {'-'.join(words).lower()[:100]!r}" if words else "write it like 'send-sms'"
        raise ValueError(
            f"its name must be 1 to 100 ASCII letters, digits, '-' and '_', in one text; {fix}"
        )


def _check_path(path: Any) -> None:
    if isinstance(path, str) and _PATH.fullmatch(path):
        return
    if isinstance(path, str) and _PATH.fullmatch(f"/{path}"):
        raise ValueError(f"the path {path!r} must begin with a slash: write '/{path}'")
    raise ValueError(
        f"the path {quoted(path)} must be fixed and of ASCII letters, digits and '-._~@:+' between "
        "slashes, such as '/sms'; what differs from job to job belongs in the payload"
    )


def _check_function(handler: Any) -> None:
    if inspect.isclass(handler) or not callable(handler):
        raise ValueError("its handler must be a function: write `def handler(payload, job)`")
    is_plain = inspect.isroutine(handler) or isinstance(handler, partial)
    called = handler if is_plain else type(handler).__call__
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise ValueError(
            "its handler is a generator, whose body would never run: return a dict or None in "
            "place of `yield`; to go on in another delivery, raise `Continue`"
        )


def _check_parameters(handler: Any, schema: Any) -> None:
    """Check that it can be called with a payload and a job, and takes them in this order."""
    try:
        signature = _signature(handler)
    except (TypeError, ValueError):
        return  # written in C
    try:
        bound = signature.bind(_EMPTY, Job).arguments
    except TypeError:
        bound = {}
    given = [signature.parameters[name] for name in bound]
    if not given or (len(given) > 1 and given[1].kind is given[1].VAR_POSITIONAL):
        raise ValueError(
            "its handler is called with two positional arguments, the payload and the job, but "
            f"takes {_names(signature)}: write `def {_name(handler)}(payload, job)`"
        )
    if len(given) == 1:
        return  # `*args`: a decorator's, which passes on what it gets
    payload, job = given
    if payload.name == "job" or _is(payload, Job) or job.name == "payload":
        raise ValueError(
            f"its handler takes {_names(signature)}, and gets the payload first: "
            f"write `def {_name(handler)}(payload, job)`"
        )
    if not _fits(payload.annotation, schema):
        raise ValueError(
            f"its handler takes {_name(payload.annotation)}, but {schema.__name__} loads "
            f"{_name(schema.model)}: let both name the same class"
        )


def _fits(expected: Any, schema: type[PayloadSchema[Any]]) -> bool:
    """Tell whether a handler may get what its schema loads; other than dataclasses may be."""
    if not (_is_built_here(schema) and inspect.isclass(expected) and is_dataclass(expected)):
        return True
    return inspect.isclass(schema.model) and issubclass(schema.model, expected)


def _signature(handler: Any) -> inspect.Signature:
    try:
        return inspect.signature(handler, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation is any text, or of what only type checkers see
        return inspect.signature(handler)


def _is(parameter: inspect.Parameter, kind: type) -> bool:
    return parameter.annotation in (kind, kind.__name__)


def _names(signature: inspect.Signature) -> str:
    bare = [one.replace(annotation=_EMPTY) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _name(thing: Any) -> str:
    name = str(getattr(thing, "__name__", "handler"))
    return name if name.isidentifier() else "handler"


def _check_schema(schema: Any) -> None:
    if not (inspect.isclass(schema) and issubclass(schema, PayloadSchema)):
        raise ValueError(f"its payload must be a subclass of PayloadSchema: {_schema_of(schema)}")
    if not _is_built_here(schema):
        return
    if not hasattr(schema, "model"):
        raise ValueError(f"{schema.__name__} has no model: add `model = …`, its dataclass")
    try:
        parameters = inspect.signature(schema.model).parameters
    except (TypeError, ValueError):
        return  # written in C, such as dict
    _check_fields(schema, parameters)


def _schema_of(given: Any) -> str:
    if isinstance(given, Schema):
        return f"give the class {type(given).__name__} itself, without the ()"
    if inspect.isclass(given) and issubclass(given, Schema):
        return f"derive {given.__name__} from PayloadSchema in place of Schema"
    if inspect.isclass(given):
        name = given.__name__
        return f"write `class {name}Schema(PayloadSchema[{name}])` with `model = {name}`, give that"
    return f"give one in place of {quoted(given)}"


def _is_built_here(schema: type[PayloadSchema[Any]]) -> bool:
    """Tell whether it loads to its model; what another `post_load` returns nobody can know."""
    hooks = schema._hooks["post_load"]  # noqa: SLF001 - marshmallow has no public list
    return schema.build is WireSchema.build and [hook[0] for hook in hooks] == ["build"]


def _check_fields(
    schema: type[PayloadSchema[Any]], parameters: Mapping[str, inspect.Parameter]
) -> None:
    """Check that the model can be made of each payload that the schema accepts."""
    name, model = schema.__name__, _name(schema.model)
    fields = {
        (field.attribute or key).partition(".")[0]: field
        for key, field in schema().load_fields.items()
    }
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for key in fields if not takes_all else ():
        if key not in parameters:
            near = nearest(key, parameters)
            fix = f"did you mean: {near[0]}?" if near else f"add it to {model}, or remove it there"
            if not is_dataclass(schema.model) and not parameters:
                fix = "is its @dataclass missing?"
            raise ValueError(f"{name} loads the field {key!r}, which {model} does not take; {fix}")
    for key, one in parameters.items():
        if one.default is not _EMPTY or one.kind in {one.VAR_KEYWORD, one.VAR_POSITIONAL}:
            continue
        if key not in fields:
            raise ValueError(
                f"{model} needs {key!r}, which {name} does not load; add the field to {name}, or "
                f"a default to {model}"
            )
        field = fields[key]
        may_be_missing = not field.required and field.load_default is missing
        if may_be_missing and not schema._hooks["pre_load"]:  # noqa: SLF001 - as above
            raise ValueError(
                f"{model} needs {key!r}, which {name} lets a payload leave out; make the field "
                f"`required=True`, or give {model}.{key} a default"
            )


def _refuse_unknown(name: str, known: type) -> None:
    if name in known.__annotations__:
        return
    if name in (*publishing.Options.__annotations__, *publishing.OWNER):
        raise ValueError(f"{name} is not an option of a job type; pass it to `enqueue`")
    names = [*known.__annotations__, "payload", "flow_control"]
    raise ValueError(f"unknown option {name!r}; {hint(name, names, publishing.MEANT)}")


def _option(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    return value if check is None else check(name, value)


def _time(name: str, value: Any) -> int:
    return publishing.parse_time(name, value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {quoted(value)} is not True or False")  # noqa: TRY004 - as all here
    return value


def _line(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {quoted(value)} is not a text")  # noqa: TRY004 - as all here
    return value


def _paths(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(path, str) for path in value):
        fix = f"; write ({value!r},)" if isinstance(value, str) else ""
        raise ValueError(f"{name}: {quoted(value)} is not a tuple of the payload's fields{fix}")
    return tuple(value)


def _version(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: {quoted(value)} is not a whole number of 1 or more")
    return value


def _upgrades(name: str, value: Any) -> Mapping[int, Upgrade]:
    if not isinstance(value, Mapping) or not all(map(callable, value.values())):
        raise ValueError(f"{name}: {quoted(value)} is not a dict from versions to functions")
    return value


def _function(name: str, value: Any) -> Upgrade:
    if not callable(value):
        raise ValueError(f"{name}: {quoted(value)} is not a function")  # noqa: TRY004 - as all here
    function: Upgrade = value
    return function


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "timeout": _time,
    "heartbeat": _time,
    "acts_outside": _flag,
    "unwatched": _flag,
    "forgets_empty": _flag,
    "description": _line,
    "sealed": _paths,
    "version": _version,
    "upgrades": _upgrades,
    "adapt": _function,
}
