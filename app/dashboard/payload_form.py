"""A job type's payload as a form: a field for each of its schema's, and back to JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import abort, current_app
from marshmallow import fields, validate

from ..jobs import JobConfig, UnknownJobType, get_job_config
from ..jobs.kit import hidden, jsonb, registry_of
from ..jobs.operate import list_jobs, operations
from . import access

#: Begins the names of a payload's fields, so that none is taken for one of the form's own.
PREFIX = "payload."
#: How deep is looked for what was hidden.
_HIDDEN = ("(hidden)", "(sealed)")

_NUMBERS = (fields.Integer, fields.Float, fields.Decimal)
_SCALARS = (fields.String, fields.Boolean, fields.Date, fields.DateTime, fields.UUID, *_NUMBERS)


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the form.

    Attributes:
        name: On the wire.
        kind: "text", "number", "choice" or "json".
        choices: Those of a choice.
        said: What it is for: the `description` of its metadata.
        example: A value as it would be written: the `example` of its metadata.
        value: What is in it, as text.
    """

    name: str
    kind: str
    is_required: bool
    choices: tuple[str, ...]
    said: str
    example: str
    value: str


def inputs_of(config: JobConfig, values: Mapping[str, str]) -> list[Input]:
    """Return the form of a job type, with texts in it by their fields' names on the wire."""
    return [_input(field, values) for field in config.schema.load_fields.values()]


def texts_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return what a form has in it for the payload of a job; what is a secret is left out."""
    shown = hidden(dict(payload))
    return {name: _text(value) for name, value in shown.items() if value not in _HIDDEN}


def read(config: JobConfig, form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the payload that a form says, and by field what is wrong with it already."""
    payload: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for field in config.schema.load_fields.values():
        name = str(field.data_key)
        text = form.get(PREFIX + name, "")
        if not text.strip():
            continue
        try:
            payload[name] = _value(field, text)
            is_hiding = any(value in _HIDDEN for value in _leaves(payload[name]))
        except (ValueError, RecursionError) as error:
            problems[name] = [f"Not JSON: {error}."]
            continue
        if is_hiding:
            problems[name] = ["Still hides a value, as (hidden) or (sealed): write it again."]
    return payload, problems


def shown(
    config: JobConfig,
    given: Mapping[str, str],
    problems: Mapping[str, list[str]],
    trouble: str | None,
) -> dict[str, Any]:
    """Return what a template takes to show the form.

    Args:
        config: The job type.
        given: What was sent, or is to be in it.
        problems: By field, what is wrong with it.
        trouble: What else is wrong.
    """
    cut = len(PREFIX)
    texts = {name[cut:]: text for name, text in given.items() if name.startswith(PREFIX)}
    inputs = inputs_of(config, texts)
    known = {one.name for one in inputs}
    others = [f"{name}: {' '.join(said)}" for name, said in problems.items() if name not in known]
    troubles = [*others, *([trouble] if trouble else [])]
    return {"inputs": inputs, "problems": problems, "troubles": troubles, "prefix": PREFIX}


def offered() -> list[JobConfig]:
    """Return the types of which the user may make jobs: all but the dashboard's own.

    Some types act for all organizations, whosever job it is. So those of one organization make only
    such jobs as it has had.
    """
    return [
        one
        for one in registry_of(current_app)
        if one.type != operations.JOB_TYPE and _is_theirs(one)
    ]


def config_of(name: str) -> JobConfig:
    """Return a job type; 404 where there is none, 403 where the user may make no such jobs."""
    try:
        config = get_job_config(name)
    except UnknownJobType as error:
        abort(404, str(error))
    if not _is_theirs(config):
        abort(403, f"Your organization has had no job of type {name}: ask who may see all.")
    return config


def _is_theirs(config: JobConfig) -> bool:
    is_of_all = access.user().organization_id is None
    return is_of_all or bool(list_jobs(access.within({"job_type": config.type}), limit=1).jobs)


def by_field(errors: Mapping[Any, Any]) -> dict[str, list[str]]:
    """Return a schema's messages by field of the form, those of nested ones in a line each."""
    return {str(name): _lines(said) for name, said in errors.items()}


def _lines(said: Any) -> list[str]:
    if isinstance(said, Mapping):
        return [f"{name}: {line}" for name, inner in said.items() for line in _lines(inner)]
    return [str(one) for one in said] if isinstance(said, list) else [str(said)]


def _input(field: fields.Field[Any], values: Mapping[str, str]) -> Input:
    name = str(field.data_key)
    choices = _choices(field)
    kind = "choice" if choices else "json"
    if not choices and isinstance(field, _SCALARS):
        kind = "number" if isinstance(field, _NUMBERS) else "text"
    said = str(field.metadata.get("description", ""))
    example = _text(field.metadata.get("example"))
    return Input(name, kind, field.required, choices, said, example, values.get(name, ""))


def _choices(field: fields.Field[Any]) -> tuple[str, ...]:
    if isinstance(field, fields.Boolean):
        return ("true", "false")
    if isinstance(field, fields.String):
        for one in field.validators:
            if isinstance(one, validate.OneOf):
                return tuple(map(str, one.choices))
    return ()


def _value(field: fields.Field[Any], text: str) -> Any:
    if isinstance(field, fields.Boolean | fields.Integer | fields.Float):
        try:
            return jsonb.loads(text.strip())
        except ValueError:
            return text  # the schema says what it wants
    return text if isinstance(field, _SCALARS) else jsonb.loads(text)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
