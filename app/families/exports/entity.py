"""What an entity is: its columns, its filters and who may see which of its rows."""

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
    """What a column holds; each format knows how to write each kind."""

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
        choices: All values that there are, where that is known; others are refused.
    """

    expression: ColumnElement[Any] | InstrumentedAttribute[Any]
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return _kind(self.expression.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What can be exported.

    Attributes:
        name: On the wire, in kebab case.
        key: A unique integer column that grows: rows come in its order, and an export that is
            handed over goes on behind the last one.
        created: What `createdAfter` and `createdBefore` look at.
        columns: All that there are, in the order of the file.
        visible_to: The condition that leaves the rows of one organization.
        filters: Beside those that every entity has, by their names on the wire.
        where: Which rows of the table are of this entity.
    """

    name: str
    key: InstrumentedAttribute[int]
    created: ColumnElement[Any] | InstrumentedAttribute[Any]
    columns: tuple[Column, ...]
    visible_to: Callable[[OwnerId], ColumnElement[bool]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    where: ColumnElement[bool] = field(default_factory=true)

    def choose(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """Return the columns of these names in their order, or all."""
        if names is None:
            return self.columns
        return tuple(nearest({column.name: column for column in self.columns}, names))

    def created_between(
        self, after: datetime | None, before: datetime | None
    ) -> list[ColumnElement[bool]]:
        """Return conditions for a half-open interval: `after` is in it, `before` is not."""
        conditions = []
        if after is not None:
            conditions.append(self.created >= after)
        if before is not None:
            conditions.append(self.created < before)
        return conditions


def columns(*given: InstrumentedAttribute[Any], **renamed: Any) -> tuple[Column, ...]:
    """Make columns of a model's, named as they are on the wire; others by keyword."""
    named = {attribute.key: attribute for attribute in given} | renamed
    return tuple(_column(camel_case(name), expression) for name, expression in named.items())


def nearest(known: Mapping[str, Any], names: Sequence[str], what: str = "column") -> list[Any]:
    """Return what the names stand for.

    Raises:
        ValidationError: One is unknown; says which are nearest.
    """
    for name in names:
        if name not in known:
            raise ValidationError(f"Unknown {what} {name!r}; {hint(name, known)}")
    return [known[name] for name in names]


def _column(name: str, expression: Any) -> Column:
    """Make a column; what is neither number, time, truth nor JSON becomes text."""
    if isinstance(expression.type, INET):
        expression = func.host(expression, type_=Text)
    elif isinstance(expression.type, Uuid):
        expression = cast(expression, Text)
    return Column(name, expression)


def _kind(column_type: TypeEngine[Any]) -> Kind:
    if isinstance(column_type, OwnerIdColumn):
        return Kind.INTEGER if id_type() == "integer" else Kind.TEXT
    return next((kind for of, kind in _KINDS if isinstance(column_type, of)), Kind.TEXT)
