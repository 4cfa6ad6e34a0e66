"""Entities: their columns, their filters and who may see which rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, Text, Uuid, cast, func, true
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from app.jobs.kit import OwnerId, OwnerIdColumn, camel_case, hint, id_type


class Kind(StrEnum):
    """The type of a column's values; each format can write each of them."""

    INTEGER = "integer"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"
    JSON = "json"


_KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (Integer, Kind.INTEGER),
    (DateTime, Kind.TIMESTAMP),
    (Boolean, Kind.BOOLEAN),
    (JSONB, Kind.JSON),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file: its header in camel case, and the SQL expression of its values."""

    name: str
    expression: ColumnElement[Any]

    @property
    def kind(self) -> Kind:
        return _kind(self.expression.type)


@dataclass(frozen=True, slots=True)
class Filter:
    """A value that an expression must equal.

    Attributes:
        choices: All possible values, if known; others are rejected.
    """

    expression: ColumnElement[Any] | InstrumentedAttribute[Any]
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return _kind(self.expression.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A kind of record that can be exported.

    Attributes:
        name: On the wire, in kebab case.
        key: A unique, growing integer column: rows come in its order, and an export that continues
            starts after the last one.
        created: The column that `createdAfter` and `createdBefore` compare.
        columns: All columns, in the order of the file.
        visible_to: The condition for an organization's rows.
        filters: Filters besides those of every entity, by name on the wire.
        where: The condition for the table's rows that belong to this entity.
    """

    name: str
    key: InstrumentedAttribute[int]
    created: ColumnElement[Any] | InstrumentedAttribute[Any]
    columns: tuple[Column, ...]
    visible_to: Callable[[OwnerId], ColumnElement[bool]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    where: ColumnElement[bool] = field(default_factory=true)

    def choose(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """Return the named columns in this order, or all."""
        if names is None:
            return self.columns
        return tuple(nearest({column.name: column for column in self.columns}, names))

    def created_between(
        self, after: datetime | None, before: datetime | None
    ) -> list[ColumnElement[bool]]:
        """Return conditions for a half-open interval, which includes `after` but not `before`."""
        conditions = []
        if after is not None:
            conditions.append(self.created >= after)
        if before is not None:
            conditions.append(self.created < before)
        return conditions


def columns(*given: InstrumentedAttribute[Any], **renamed: Any) -> tuple[Column, ...]:
    """Make columns of a model's attributes, named as on the wire; others by keyword."""
    named = {attribute.key: attribute for attribute in given} | renamed
    return tuple(_column(camel_case(name), expression) for name, expression in named.items())


def nearest(known: Mapping[str, Any], names: Sequence[str], what: str = "column") -> list[Any]:
    """Return the values of these names.

    Raises:
        ValidationError: One is unknown; the message suggests the nearest.
    """
    for name in names:
        if name not in known:
            raise ValidationError(f"Unknown {what} {name!r}; {hint(name, known)}")
    return [known[name] for name in names]


def _column(name: str, expression: Any) -> Column:
    """Make a column; anything but a number, time, boolean or JSON becomes text."""
    if isinstance(expression.type, INET):
        expression = func.host(expression, type_=Text)
    elif isinstance(expression.type, Uuid):
        expression = cast(expression, Text)
    return Column(name, expression)


def _kind(column_type: TypeEngine[Any]) -> Kind:
    if isinstance(column_type, OwnerIdColumn):
        return Kind.INTEGER if id_type() == "integer" else Kind.TEXT
    return next((kind for of, kind in _KINDS if isinstance(column_type, of)), Kind.TEXT)
