"""Parse requests; errors name the field."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import abort, current_app, request
from marshmallow import Schema, ValidationError

from app.jobs import InvalidOption
from app.jobs.kit import camel_case, jsonb

#: How deeply a body may be nested.
LEVELS = 50


class InvalidRequest(Exception):
    """Fields of a request are invalid; `errors` maps them to messages."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        self.errors = dict(errors)
        super().__init__(f"Invalid: {', '.join(map(str, self.errors))}.")

    @classmethod
    def of(cls, error: InvalidOption) -> "InvalidRequest":
        """Turn `retry_delay: message` into the field's error, and `a and b: message` into both."""
        names, _, said = str(error).partition(": ")
        return cls({camel_case(name): [said] for name in names.split(" and ")})


def query(schema: type[Schema]) -> dict[str, Any]:
    """Return the query's fields.

    Raises:
        InvalidRequest: One is unknown or invalid.
    """
    return _load(schema, request.args.to_dict())


def body(schema: type[Schema]) -> dict[str, Any]:
    """Return the body's fields, or abort: 415 if not JSON, 413 if too large, 400 if malformed.

    Raises:
        InvalidRequest: One is missing, unknown or invalid.
    """
    if not request.is_json:
        abort(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: must be application/json.")
    try:
        given = jsonb.loads(_bytes(current_app.config["JOBS_MAX_BODY"] // 2).decode())
        _refuse_deep(given)
    except ValueError as error:
        abort(HTTPStatus.BAD_REQUEST, f"The body cannot be read as JSON in UTF-8: {error}.")
    return _load(schema, given)


def _bytes(largest: int) -> bytes:
    # One more than allowed: without a length (chunked), werkzeug silently truncates a body.
    request.max_content_length = largest + 1
    found = request.get_data(cache=False)
    if len(found) > largest:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {largest:,} bytes.")
    return found


def _refuse_deep(value: Any) -> None:
    """Reject nesting that would exhaust the recursion of a schema or an encoder."""
    level = [value]
    for _ in range(LEVELS):
        level = [item for one in level for item in _items(one)]
        if not level:
            return
    raise ValueError(f"nested deeper than {LEVELS} levels")


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _load(schema: type[Schema], given: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema().load(given)
    except ValidationError as error:
        raise InvalidRequest(error.messages_dict) from None
    return loaded
