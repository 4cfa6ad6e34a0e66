"""Convert the ids of jobs' owners, of the type JOBS_ID_TYPE, to this domain's integer keys."""

from typing import Any

from sqlalchemy import ColumnElement, false

from app.jobs.kit import MAX_NUMBER, OwnerId, id_type


def key_of(owner_id: OwnerId) -> int | None:
    """Return the key for an owner's id; None if it has none here."""
    text = str(owner_id)
    is_key = text.isascii() and text.isdigit() and int(text) <= MAX_NUMBER
    return int(text) if is_key else None


def owner_id_of(key: int) -> OwnerId | None:
    """Return the owner's id for a key; None if ids are UUIDs."""
    kinds: dict[str, OwnerId] = {"integer": key, "text": str(key)}
    return kinds.get(id_type())


def is_owner(column: Any, owner_id: OwnerId) -> ColumnElement[bool]:
    """Return the condition that a column has the key for an owner's id."""
    key = key_of(owner_id)
    return false() if key is None else column == key
