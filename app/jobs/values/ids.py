"""Ids that others give: those of jobs, and those of the users and organizations they belong to.

A job's id is any text of up to 255 characters: ours are UUIDs, other producers have their own. Ids
of users and organizations are what JOBS_ID_TYPE says: whole numbers, texts or UUIDs.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from secrets import randbits
from time import time_ns
from typing import Any
from uuid import UUID

from flask import current_app, has_app_context
from marshmallow import ValidationError, fields
from sqlalchemy import BigInteger, Dialect, String, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine
from werkzeug.routing import BaseConverter
from werkzeug.routing import ValidationError as NoMatch

from ..errors import InvalidOption, quoted

#: Of a user or an organization.
OwnerId = int | str
#: One as callers have it; `check_owner_id` makes an `OwnerId` of it.
GivenOwnerId = OwnerId | UUID

#: What JOBS_ID_TYPE may be, and how the columns hold it.
ID_TYPES: dict[str, TypeEngine[Any]] = {
    "integer": BigInteger(),
    "text": String(255),
    "uuid": Uuid(as_uuid=False),
}
MAX_LENGTH = 255
MAX_NUMBER = 2**63 - 1

_UNPRINTABLES = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_UNPRINTABLE = re.compile(f"[{_UNPRINTABLES}]")
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def new_job_id() -> str:
    """Return a UUID that begins with the time (version 7), with 74 random bits.

    What is enqueued one after another is side by side in the index of ids: in a large table, a
    random id would have a page of its own read, and written to the log whole.
    """
    milliseconds, random = time_ns() // 1_000_000, randbits(74)
    high, low = random >> 62, random & (1 << 62) - 1
    return str(UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low))


def id_type() -> str:
    """Return what the current app's ids of users and organizations are: a key of `ID_TYPES`."""
    return str(current_app.config["JOBS_ID_TYPE"]) if has_app_context() else "integer"


def check_owner_id(name: str, value: Any) -> OwnerId:
    """Return an id of a user or an organization in its one form.

    Raises:
        InvalidOption: It is of another kind than JOBS_ID_TYPE says.
    """
    try:
        return _CHECKS[id_type()](value)
    except ValueError as error:
        raise InvalidOption(
            f"{name}: {quoted(value)} is not {error} (JOBS_ID_TYPE={setting(value)})"
        ) from None


def setting(value: Any) -> str:
    """Return the JOBS_ID_TYPE that an owner's id does not fit, with the one for a UUID."""
    if isinstance(value, str | UUID) and is_uuid(str(value)):
        return f"{id_type()}; for UUIDs, set JOBS_ID_TYPE=uuid"
    return id_type()


def parse_owner_id(given: str) -> OwnerId:
    """Return an id that is written as text: on a command line, or in a query.

    Raises:
        ValueError: What it is not.
    """
    is_number = id_type() == "integer" and _NUMBER.fullmatch(given)
    return _CHECKS[id_type()](int(given) if is_number else given)


def is_job_id(value: object) -> bool:
    """Tell whether there can be a job of this id."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and _is_line(value)


def header_safe(job_id: str) -> str:
    """Return an id by which any service can know a job: itself, or a hash where it may not do.

    QStash takes no colon in an id, Resend 256 characters, and a header no letter beyond ASCII.
    """
    return job_id if _SAFE.fullmatch(job_id) else sha256(job_id.encode()).hexdigest()


def is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


class OwnerIdColumn(TypeDecorator[OwnerId]):
    """The type of a column that holds an owner's id: bigint, varchar or uuid, as the app says.

    `flask db upgrade` makes the columns what JOBS_ID_TYPE says; see `owner_columns`.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ID_TYPES[id_type()])

    def coerce_compared_value(self, op: Any, value: Any) -> "OwnerIdColumn":  # noqa: ARG002 - SQLAlchemy's signature
        return self


class OwnerIdField(fields.Field[OwnerId]):
    """An owner's id in JSON: a number, or a text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> OwnerId:
        try:
            return self._read(value)
        except ValueError as error:
            raise ValidationError(f"Not {error}.") from None

    def _read(self, value: Any) -> OwnerId:
        return _CHECKS[id_type()](value)


class OwnerIdQueryField(OwnerIdField):
    """An owner's id in a query, where all is text."""

    def _read(self, value: Any) -> OwnerId:
        return parse_owner_id(value)


class JobIdField(fields.String):
    """A job's id in JSON."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if not is_job_id(text):
            raise ValidationError(
                f"Not a job's id: a line of 1 to {MAX_LENGTH} characters, such as a UUID."
            )
        return text


class JobIdConverter(BaseConverter):
    """A job's id in a path, where `/api/jobs/email` is an endpoint and no job."""

    regex = rf"[^/{_UNPRINTABLES}]{{1,{MAX_LENGTH}}}"

    def to_python(self, value: str) -> str:
        taken = {rule.rule for rule in self.map.iter_rules()}
        if f"/api/jobs/{value}" in taken:
            raise NoMatch
        return value


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) > MAX_NUMBER:
        raise ValueError(f"a valid integer from -{MAX_NUMBER} to {MAX_NUMBER}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_LENGTH or not _is_line(value):
        raise ValueError(f"a line of text of 1 to {MAX_LENGTH} characters")
    return str(value)


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str) or not is_uuid(value):
        raise ValueError("a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e")
    return value.lower()


def _is_line(value: str) -> bool:
    return not _UNPRINTABLE.search(value) and bool(value.strip())


_CHECKS: dict[str, Callable[[Any], OwnerId]] = {"integer": _number, "text": _text, "uuid": _uuid}
