"""The sessions of those who sign in to the dashboard by a password.

A session ends when nobody used it for a time, at a given age, by signing out, and at once when its
user's password is changed or the user is disabled. What a browser has is a random text, of which
only a digest is stored.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, update

from ..errors import InvalidOption
from ..table import audit, marks, people
from ..table.db import in_transaction
from ..table.people import JobUser
from ..values.ids import OwnerId
from . import passwords
from .people import Role, find_user

#: How often may be tried within so many seconds: by one name, and from one address.
PER_NAME, PER_ADDRESS, WITHIN = 10, 50, 900.0

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_users = cast("Table", JobUser.__table__)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in."""

    name: str
    role: Role
    organization_id: OwnerId | None


def count_attempt(name: str, address: str) -> float:
    """Count one more time that somebody says that they know a password.

    Returns:
        Seconds to wait before the next one is looked at; 0 where this one may be.
    """
    limits = {_digest("name", name.strip().casefold()): PER_NAME}
    limits[_digest("address", address)] = PER_ADDRESS

    def work(tx: Connection) -> float:
        tx.execute(people.FORGET_ATTEMPTS, {"seconds": WITHIN})
        waits = [0.0]
        for digest in sorted(limits):  # in one order, so that no two wait for each other
            given = {"digest": digest, "seconds": WITHIN}
            row = tx.execute(people.COUNT_ATTEMPT, given).one()
            waits.append(row.rest if row.attempts > limits[digest] else 0.0)
        return max(waits)

    return in_transaction(work)


def sign_in(name: str, password: str, *, idle: float, longest: float) -> str | None:
    """Begin a session of whoever has this name and password.

    Args:
        name: In any case.
        password: As it was typed.
        idle: Seconds after which a session ends that nobody uses.
        longest: Seconds after which it ends in any case.

    Returns:
        What the browser is to keep; None for a wrong name or password, or somebody disabled.
    """
    found = _proved(name, password)
    if found is None:
        return None

    def begin(tx: Connection) -> str | None:
        tx.execute(people.FORGET_SESSIONS, {"idle": idle, "longest": longest})
        token = _begin(tx, found, found.password_hash)
        if token is not None:
            marks.note(tx, f"{marks.SIGN_IN}{found.id}", {})
            audit.record_action(tx, actor=found.name, action="sign in", wanted={})
        return token

    return in_transaction(begin)


def change_own_password(name: str, password: str, new: str) -> str | None:
    """Give somebody who knows their password another one, and begin a session in place of all.

    Args:
        name: In any case.
        password: The one that they have, as it was typed.
        new: The one that they want.

    Returns:
        What the browser is to keep; None where they do not have that password, or are disabled.

    Raises:
        InvalidOption: The new password is too short, or the one that they have.
    """
    wanted = passwords.hashed(new)
    if new == password:
        raise InvalidOption("the new password is the one that you have: choose another")
    found = _proved(name, password)
    if found is None:
        return None
    is_theirs = (_users.c.id == found.id) & (_users.c.password_hash == found.password_hash)

    def change(tx: Connection) -> str | None:
        if not tx.execute(update(_users).where(is_theirs).values(password_hash=wanted)).rowcount:
            return None
        tx.execute(people.END_SESSIONS, {"job_user_id": found.id})
        about = {"user": found.name}
        audit.record_action(tx, actor=found.name, action="user password", wanted=about)
        return _begin(tx, found, wanted)

    return in_transaction(change)


def find(token: str, *, idle: float, longest: float, uses: bool) -> Person | None:
    """Return whose session this is.

    Args:
        token: As `sign_in` returned it.
        idle: Seconds after which a session ends that nobody uses.
        longest: Seconds after which it ends in any case.
        uses: This is a use, and no page that updates itself.
    """
    if not _TOKEN.fullmatch(token):
        return None
    given = {"digest": _digest("session", token), "idle": idle, "longest": longest}

    def work(tx: Connection) -> Row[Any] | None:
        row = tx.execute(people.FIND_SESSION, given).one_or_none()
        if row is not None and row.is_old and uses:
            tx.execute(people.SEE_SESSION, {"digest": given["digest"]})
        return row

    row = in_transaction(work)
    return row and Person(row.name, row.role, row.organization_id)


def sign_out(token: str) -> None:
    """End a session, if it is one, on record as its user's doing."""

    def work(tx: Connection) -> None:
        row = tx.execute(people.END_SESSION, {"digest": _digest("session", token)}).one_or_none()
        if row is not None:
            audit.record_action(tx, actor=row.name, action="sign out", wanted={})

    in_transaction(work)


def _proved(name: str, password: str) -> Row[Any] | None:
    """Return who has this name and password."""
    found = in_transaction(lambda tx: find_user(tx, name))
    return found if passwords.is_right(password, found and found.password_hash) else None


def _begin(tx: Connection, found: Row[Any], password_hash: str) -> str | None:
    """Begin a session of somebody who still has the password; what was tried before is forgiven."""
    token = token_urlsafe(32)
    given = {"id": found.id, "password_hash": password_hash, "digest": _digest("session", token)}
    tx.execute(people.FORGIVE, {"digest": _digest("name", found.name.strip().casefold())})
    return token if tx.execute(people.BEGIN_SESSION, given).rowcount else None


def _digest(kind: str, value: str) -> str:
    return sha256(f"{kind}:{value}".encode("utf-8", "replace")).hexdigest()
