"""The filters of a payload: from JSON to conditions, or to an error for each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import ColumnElement

from app.families.exports.entity import Entity, Filter, Kind, nearest
from app.jobs.kit import OwnerId, OwnerIdColumn, OwnerIdField, id_type

AFTER, BEFORE, ORGANIZATION = "createdAfter", "createdBefore", "organizationId"
#: The filters of every entity.
COMMON = (AFTER, BEFORE, ORGANIZATION)
MAX_BIGINT = 2**63 - 1
MAX_TEXT = 500

_owner_ids = OwnerIdField()

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOT_A_DATE = (
    "Must be a date such as 2026-01-31 (midnight UTC), or a timestamp with a zone such as"
    " 2026-01-31T12:00:00Z."
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Checked filters.

    Attributes:
        organization_id: The requested one, if any: it may narrow the export, never widen it.
        conditions: All other filters, as SQL.
    """

    organization_id: OwnerId | None
    conditions: tuple[ColumnElement[bool], ...]


def read(entity: Entity, given: Mapping[str, Any]) -> Filters:
    """Check filters and turn them into SQL.

    Raises:
        ValidationError: With a message for each invalid filter.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, value in given.items():
        try:
            values[name] = _value(entity, name, value)
        except ValidationError as error:
            errors[name] = [str(message) for message in error.messages]
    after, before = values.get(AFTER), values.get(BEFORE)
    if after is not None and before is not None and before <= after:
        errors[BEFORE] = [f"Must be later than {AFTER}."]
    if errors:
        raise ValidationError(errors)
    own = [known.expression == values[name] for name, known in _own(entity, values)]
    return Filters(
        organization_id=values.get(ORGANIZATION),
        conditions=(*entity.created_between(after, before), *own),
    )


def _own(entity: Entity, values: Mapping[str, Any]) -> list[tuple[str, Filter]]:
    return [(name, known) for name, known in entity.filters.items() if name in values]


def _value(entity: Entity, name: str, value: Any) -> Any:
    nearest({**dict.fromkeys(COMMON), **entity.filters}, (name,), f"filter of {entity.name}")
    if name in {AFTER, BEFORE}:
        return _moment(value)
    if name == ORGANIZATION:
        return _owner(value)
    known = entity.filters[name]
    if isinstance(known.expression.type, OwnerIdColumn):
        return _owner(value)
    return _integer(value) if known.kind == Kind.INTEGER else _text(value, known.choices)


def _moment(value: Any) -> datetime:
    """Accept a date, which starts at midnight UTC, or a timestamp with a zone."""
    try:
        moment = datetime.fromisoformat(value)
        if _DATE.fullmatch(value):
            moment = moment.replace(tzinfo=UTC)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValidationError(_NOT_A_DATE)


def _owner(value: Any) -> OwnerId:
    return _integer(value) if id_type() == "integer" else _owner_ids.deserialize(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_BIGINT:
        raise ValidationError("Must be a positive integer.")
    return value


def _text(value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise ValidationError(f"Must be a text of 1 to {MAX_TEXT} characters.")
    if choices:
        nearest(dict.fromkeys(choices), (value,), "value")
    if "\x00" in value or not value.isprintable():
        raise ValidationError("Must be a single line without control characters.")
    return value
