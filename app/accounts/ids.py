"""From ids of jobs' owners, which are what JOBS_ID_TYPE says, to this domain's keys: numbers."""

from typing import Any

from sqlalchemy import ColumnElement, false

from app.jobs.kit import MAX_NUMBER, OwnerId, id_type


def key_of(owner_id: OwnerId) -> int | None:
    """Return the key that an owner's id stands for; None where it stands for none here."""
    text = str(owner_id)
    is_key = text.isascii() and text.isdigit() and int(text) <= MAX_NUMBER
    return int(text) if is_key else None


def owner_id_of(key: int) -> OwnerId | None:
    """Return the owner's id for a key; None where ids are UUIDs, which no number is."""
    kinds: dict[str, OwnerId] = {"integer": key, "text": str(key)}
    return kinds.get(id_type())


def is_owner(column: Any, owner_id: OwnerId) -> ColumnElement[bool]:
    """Return the condition that a column holds the key for an owner's id."""
    key = key_of(owner_id)
    return false() if key is None else column == key
