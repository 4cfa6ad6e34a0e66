"""Write seeded data by COPY, batch by batch, in one transaction."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import delete, exists, select

from app.accounts.models import Organization, User
from app.accounts.seed_data import COLUMNS, Batch, Seed, customer_prefix, domain
from app.db import db

BATCH = 5000

Counts = dict[str, int]


class AlreadySeeded(Exception):
    """This seed already has data."""


def plant(
    seed: int, *, users: int, until: date, replace: bool, progress: Callable[[int], object]
) -> Counts:
    """Write the data of a seed and return how many rows each table got.

    Args:
        seed: Determines everything but the ids.
        users: How many people.
        until: Everything happened before this day.
        replace: Delete this seed's data first.
        progress: Called with the number of users added.

    Raises:
        AlreadySeeded: This seed has data, and `replace` is false.
    """
    if replace:
        _uproot(seed)
    elif db.session.scalar(select(exists().where(_is_of(seed)))):
        raise AlreadySeeded
    connection: psycopg.Connection[Any] = db.session.connection().connection.driver_connection  # type: ignore[assignment] # psycopg it is
    counts = dict.fromkeys(COLUMNS, 0)
    with connection.cursor() as cursor:
        first = _first_id(cursor, "organizations"), _first_id(cursor, "users")
        for batch in Seed(seed, users=users, until=until, first=first).batches(BATCH):
            _copy(cursor, batch, counts)
            progress(len(batch.users))
        for table in ("organizations", "users"):
            _set_sequence(cursor, table)
    db.session.commit()
    return counts


def _is_of(seed: int) -> Any:
    return User.email.endswith(f"@{domain(seed)}", autoescape=True)


def _uproot(seed: int) -> None:
    """Delete a seed's data; memberships and activities go with their organizations."""
    customers = Organization.stripe_customer_id.startswith(customer_prefix(seed), autoescape=True)
    db.session.execute(delete(Organization).where(customers))
    db.session.execute(delete(User).where(_is_of(seed)))


def _first_id(cursor: psycopg.Cursor[Any], table: str) -> int:
    """Return the next id; other writers wait until the commit."""
    name = sql.Identifier(table)
    cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(name))
    row = cursor.execute(sql.SQL("SELECT coalesce(max(id), 0) + 1 FROM {}").format(name)).fetchone()
    first: int = row[0] if row else 1
    return first


def _copy(cursor: psycopg.Cursor[Any], batch: Batch, counts: Counts) -> None:
    for table, columns in COLUMNS.items():
        rows = getattr(batch, table)
        names = sql.SQL(", ").join(map(sql.Identifier, columns.split()))
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(row)
        counts[table] += len(rows)


def _set_sequence(cursor: psycopg.Cursor[Any], table: str) -> None:
    command = "SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))"
    cursor.execute(sql.SQL(command).format(sql.Literal(table), sql.Identifier(table)))
