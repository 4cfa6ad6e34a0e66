"""The kinds of fields that a new job's payload can have."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a field looks in the schema, in Python and on the wire.

    Attributes:
        field: The marshmallow field, without its closing parenthesis and common arguments.
        python: The type of the loaded value.
        good: A value on the wire that the field accepts.
        bad: One that it refuses.
        source: The module that the Python type comes from.
    """

    field: str
    arguments: tuple[str, ...] = ()
    python: str
    good: Any
    bad: Any
    source: str | None = None


_UUID = "4f1c2d7e-0b5a-4c3e-9d68-1a2b3c4d5e6f"

KINDS = {
    "str": Kind(
        field="String",
        arguments=("validate=validate.Length(min=1)",),
        python="str",
        good="text",
        bad="",
    ),
    "int": Kind(field="Integer", arguments=("strict=True",), python="int", good=1, bad="one"),
    "float": Kind(
        field="Float", arguments=("allow_nan=False",), python="float", good=1.5, bad="much"
    ),
    "bool": Kind(
        field="Boolean",
        arguments=("truthy={True}", "falsy={False}"),
        python="bool",
        good=True,
        bad="perhaps",
    ),
    "email": Kind(field="Email", python="str", good="ann@example.com", bad="nobody"),
    "url": Kind(field="Url", python="str", good="https://example.com/page", bad="nowhere"),
    "uuid": Kind(field="UUID", python="UUID", good=_UUID, bad="five", source="uuid"),
    "date": Kind(
        field="Date",
        python="date",
        good="2026-01-31",
        bad="soon",
        source="datetime",
    ),
    "datetime": Kind(
        field="AwareDateTime",
        arguments=('format="iso"',),
        python="datetime",
        good="2026-01-31T12:00:00+00:00",
        bad="2026-01-31T12:00:00",
        source="datetime",
    ),
    "list": Kind(
        field="List", arguments=("fields.String()",), python="list[str]", good=["text"], bad="text"
    ),
    "dict": Kind(
        field="Dict",
        arguments=("keys=fields.String()",),
        python="dict[str, Any]",
        good={"key": "value"},
        bad="text",
    ),
}
