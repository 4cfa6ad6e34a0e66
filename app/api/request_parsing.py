"""From a request to what it says; what is wrong is named by its field."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import abort, current_app, request
from marshmallow import Schema, ValidationError

from app.jobs import InvalidOption
from app.jobs.kit import camel_case, jsonb

#: How deep a body may be nested.
LEVELS = 50


class InvalidRequest(Exception):
    """Fields of a request are wrong; `errors` maps them to messages."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        self.errors = dict(errors)
        super().__init__(f"This is wrong: {', '.join(map(str, self.errors))}.")

    @classmethod
    def of(cls, error: InvalidOption) -> "InvalidRequest":
        """Turn `retry_delay: wrong` into the field's error, and `a and b: wrong` into both's."""
        names, _, said = str(error).partition(": ")
        return cls({camel_case(name): [said] for name in names.split(" and ")})


def query(schema: type[Schema]) -> dict[str, Any]:
    """Return the query's fields.

    Raises:
        InvalidRequest: One is unknown or wrong.
    """
    return _load(schema, request.args.to_dict())


def body(schema: type[Schema]) -> dict[str, Any]:
    """Return the body's fields, or abort: other than JSON 415, too large 413, broken 400.

    Raises:
        InvalidRequest: One is missing, unknown or wrong.
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
    # One more than may be: where no length is given (chunked), werkzeug cuts a body off in silence.
    request.max_content_length = largest + 1
    found = request.get_data(cache=False)
    if len(found) > largest:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {largest:,} bytes.")
    return found


def _refuse_deep(value: Any) -> None:
    """Refuse what a schema or an encoder, which call themselves for each level, would die of."""
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
