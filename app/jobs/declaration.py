"""What the declaration of a job type must be: checked where it stands, before anything starts.

What would fail only when the first job runs is a `DiscoveryError` here. It names the job type and
its handler, what is wrong, and the fix.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any
from unicodedata import combining, normalize

from marshmallow import Schema, missing

from .context import Job
from .errors import DiscoveryError, quoted
from .registry import where
from .schemas import PayloadSchema, WireSchema
from .values.nearest import nearest

#: An envelope holds no longer name, and Flask names the route by it.
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
#: What is the same in a URL, in a signature and in Flask's routing.
_PATH = re.compile(r"/|(/[A-Za-z0-9._~@:+-]+)+/?")
_EMPTY = inspect.Parameter.empty


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
