"""API keys: create, look up, revoke.

Only a key's SHA-256 is stored. That would not be enough for a password, but a key is 256 random
bits: no list of likely keys exists, and a slow hash would only slow down every request.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import Any, Literal, cast, get_args

from sqlalchemy import Connection, Table, func, or_, select, update

from app.api.models import ApiKey
from app.jobs.kit import OwnerId, in_transaction
from app.jobs.operate import audit

Scope = Literal["read", "enqueue", "manage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: Distinguishes a key from a status link's token, and lets secret scanners find it.
MARK = "jobkey_"
USED_EVERY = timedelta(minutes=1)

_table = cast("Table", ApiKey.__table__)


@dataclass(frozen=True, slots=True)
class Key:
    """What a valid key allows; see `ApiKey`."""

    id: int
    prefix: str
    name: str
    scopes: tuple[str, ...]
    organization_id: OwnerId | None
    job_types: tuple[str, ...] | None

    @property
    def actor(self) -> str:
        """The actor's name in the audit."""
        return f"API key {self.name} ({self.prefix})"


def create(
    name: str,
    scopes: tuple[str, ...],
    *,
    organization_id: OwnerId | None = None,
    job_types: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    by: str | None = None,
) -> tuple[str, ApiKey]:
    """Create a key; return it, this once, and its record.

    Args:
        name: What people call it.
        scopes: What it allows.
        organization_id: It sees, and enqueues for, this organization only.
        job_types: It enqueues these only.
        expires_at: When it ends.
        by: Who creates it, for the audit; this process's account where None.
    """
    prefix = f"{MARK}{token_hex(4)}"
    secret = f"{prefix}_{token_urlsafe(32)}"
    values: dict[str, Any] = {
        "prefix": prefix,
        "digest": _digest(secret),
        "name": name,
        "scopes": list(scopes),
        "organization_id": organization_id,
        "job_types": None if job_types is None else list(job_types),
        "expires_at": expires_at,
    }
    insert = _table.insert().values(values).returning(*_table.c)
    about = {"key": prefix, "name": name, "scopes": list(scopes)}

    def work(tx: Connection) -> Any:
        _record(tx, "create", by, about)
        return tx.execute(insert).one()

    row = in_transaction(work)
    return secret, ApiKey(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def find(secret: str) -> Key | None:
    """Return what a key allows, and record its use; None if it is not valid now."""
    if not secret.startswith(MARK):
        return None
    return in_transaction(lambda tx: _find(tx, _digest(secret)))


def all_keys() -> list[ApiKey]:
    """Return the records of all keys, newest first, including expired and revoked ones."""
    query = select(_table).order_by(_table.c.id.desc())
    rows = in_transaction(lambda tx: tx.execute(query).all())
    return [ApiKey(**row._mapping) for row in rows]  # noqa: SLF001 - as above


def revoke(prefix: str, *, by: str | None = None) -> bool:
    """Revoke a key from the next request on; `by` as above.

    Returns:
        False if there is no such key, or it was revoked before.
    """
    valid = (_table.c.prefix == prefix) & _table.c.revoked_at.is_(None)
    change = update(_table).where(valid).values(revoked_at=func.now())

    def work(tx: Connection) -> bool:
        if not tx.execute(change).rowcount:
            return False
        _record(tx, "revoke", by, {"key": prefix})
        return True

    return in_transaction(work)


def _record(tx: Connection, action: str, by: str | None, about: dict[str, Any]) -> None:
    actor = audit.current_account() if by is None else by
    audit.record_action(tx, actor=actor, action=f"apikey {action}", wanted=about)


def _find(tx: Connection, digest: str) -> Key | None:
    """Look the digest up by its index: the time it takes reveals nothing about a key."""
    query = select(_table).where(
        _table.c.digest == digest,
        _table.c.revoked_at.is_(None),
        or_(_table.c.expires_at.is_(None), _table.c.expires_at > func.now()),
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    if row.last_used_at is None or datetime.now(UTC) - row.last_used_at > USED_EVERY:
        tx.execute(update(_table).where(_table.c.id == row.id).values(last_used_at=func.now()))
    return Key(
        id=row.id,
        prefix=row.prefix,
        name=row.name,
        scopes=tuple(row.scopes),
        organization_id=row.organization_id,
        job_types=None if row.job_types is None else tuple(row.job_types),
    )


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()
