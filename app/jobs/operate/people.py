"""Who signs in to the dashboard by a password: making them, and their sessions.

A session ends when nobody used it for a time, at a given age, by signing out, and at once when its
user's password is changed or the user is disabled. What a browser has is a random text, of which
only a digest is stored.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row, Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from werkzeug.security import check_password_hash, generate_password_hash

from ..errors import InvalidOption, quoted
from ..table import audit, marks, people
from ..table.db import in_transaction
from ..table.people import JobUser
from ..values.ids import OwnerId

Role = Literal["viewer", "operator", "admin"]

#: Characters that a password has. A longer one would only make checking it slow.
SHORTEST, LONGEST = 12, 1000
LONGEST_NAME = 100
#: How often may be tried within so many seconds: by one name, and from one address.
PER_NAME, PER_ADDRESS, WITHIN = 10, 50, 900.0

_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]([^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\S)?")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_users = cast("Table", JobUser.__table__)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in."""

    name: str
    role: Role
    organization_id: OwnerId | None


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who was made, as others see them.

    Attributes:
        signed_in_at: When last; None where they never did, or it is forgotten.
    """

    name: str
    role: Role
    organization_id: OwnerId | None
    created_at: datetime
    disabled_at: datetime | None
    signed_in_at: datetime | None


def new_password() -> str:
    """Return a password that nobody has thought of."""
    return token_urlsafe(12)


def create(
    name: str, password: str, role: Role, *, organization_id: OwnerId | None = None, by: str
) -> None:
    """Make somebody who may sign in.

    Args:
        name: Of 1 to 100 characters; the same in another case is the same.
        password: Of 12 characters at least.
        role: What they may do.
        organization_id: They see the jobs of this organization only.
        by: Who makes them, for the audit.

    Raises:
        InvalidOption: The name is taken or none, or the password too short.
    """
    values = {
        "name": _checked_name(name),
        "password_hash": _hashed(password),
        "role": role,
        "organization_id": organization_id,
    }
    query = insert(_users).values(values).on_conflict_do_nothing().returning(_users.c.id)

    def work(tx: Connection) -> bool:
        if tx.scalar(query) is None:
            return False
        about = {"user": name, "role": role}
        if organization_id is not None:
            about["organization"] = str(organization_id)
        audit.record_action(tx, actor=by, action="user create", wanted=about)
        return True

    if not in_transaction(work):
        raise InvalidOption(f"there is a user {name!r} already; `flask admin list` shows all")


def everybody() -> list[Account]:
    """Return all who were made, also those that are disabled, by name."""
    given = {"mark": marks.SIGN_IN}
    rows = in_transaction(lambda tx: tx.execute(people.EVERYBODY, given).all())
    return [Account(*row) for row in rows]


def set_role(name: str, role: Role, *, by: str) -> None:
    """Have somebody be of another role, from their next request on.

    Raises:
        InvalidOption: There is nobody of that name, or they are the last admin.
    """
    values, more = {"role": role}, {"role": role}
    _change(name, values, by, "user role", more, ends=False, is_loss=role != "admin")


def set_password(name: str, password: str, *, by: str) -> None:
    """Give somebody another password, and end their sessions.

    Raises:
        InvalidOption: There is nobody of that name, or the password is too short.
    """
    _change(name, {"password_hash": _hashed(password)}, by, "user password")


def disable(name: str, *, by: str) -> None:
    """Have somebody sign in no more, and end their sessions.

    Raises:
        InvalidOption: There is nobody of that name, or they are the last admin.
    """
    _change(name, {"disabled_at": func.now()}, by, "user disable", is_loss=True)


def remove(name: str, *, by: str) -> None:
    """Delete somebody, with their sessions; the audit keeps their name.

    Raises:
        InvalidOption: There is nobody of that name, or they are the last admin.
    """

    def work(tx: Connection, found: Row[Any]) -> None:
        _keep_an_admin(tx, found)
        tx.execute(delete(_users).where(_users.c.id == found.id))
        marks.remove(tx, f"{marks.SIGN_IN}{found.id}")
        audit.record_action(tx, actor=by, action="user remove", wanted={"user": found.name})

    _with(name, work)


def enable(name: str, *, by: str) -> None:
    """Have somebody who was disabled sign in again.

    Raises:
        InvalidOption: There is nobody of that name.
    """
    _change(name, {"disabled_at": None}, by, "user enable")


def count_attempt(name: str, address: str) -> float:
    """Count one more attempt to sign in.

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
    found = in_transaction(lambda tx: _user(tx, name))
    expected = _nobody_s() if found is None else str(found.password_hash)
    fits = check_password_hash(expected, _normal(password[:LONGEST]))
    if found is None or not fits:
        return None
    token = token_urlsafe(32)
    given = {"id": found.id, "password_hash": expected, "digest": _digest("session", token)}

    def begin(tx: Connection) -> bool:
        tx.execute(people.FORGET_SESSIONS, {"idle": idle, "longest": longest})
        tx.execute(people.FORGIVE, {"digest": _digest("name", name.strip().casefold())})
        if not tx.execute(people.BEGIN_SESSION, given).rowcount:
            return False
        marks.note(tx, f"{marks.SIGN_IN}{found.id}", {})
        audit.record_action(tx, actor=found.name, action="sign in", wanted={})
        return True

    return token if in_transaction(begin) else None


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


def _change(
    name: str,
    values: dict[str, Any],
    by: str,
    action: str,
    more: dict[str, Any] | None = None,
    *,
    ends: bool = True,
    is_loss: bool = False,
) -> None:
    def work(tx: Connection, found: Row[Any]) -> None:
        if is_loss:
            _keep_an_admin(tx, found)
        tx.execute(update(_users).where(_users.c.id == found.id).values(**values))
        if ends:
            tx.execute(people.END_SESSIONS, {"job_user_id": found.id})
        wanted = {"user": found.name, **(more or {})}
        audit.record_action(tx, actor=by, action=action, wanted=wanted)

    _with(name, work)


def _with(name: str, change: Callable[[Connection, Row[Any]], None]) -> None:
    """Change somebody in one transaction; raises `InvalidOption` where there is nobody."""

    def work(tx: Connection) -> bool:
        found = _user(tx, name)
        if found is not None:
            change(tx, found)
        return found is not None

    if not in_transaction(work):
        raise InvalidOption(f"there is no user {quoted(name)}; `flask admin list` shows all")


def _keep_an_admin(tx: Connection, found: Row[Any]) -> None:
    """Refuse what would leave nobody who may change users; two who do so take turns."""
    admins = tx.execute(people.LOCK_ADMINS).scalars().all()
    if admins == [found.id]:
        raise InvalidOption(
            f"{found.name} is the last admin who is not of one organization: make another before"
        )


def _user(tx: Connection, name: str) -> Row[Any] | None:
    if "\0" in name or len(name) > LONGEST:
        return None
    wanted = func.lower(name.strip().encode("utf-8", "replace").decode())
    return tx.execute(select(_users).where(func.lower(_users.c.name) == wanted)).one_or_none()


def _checked_name(name: str) -> str:
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidOption(
            f"{quoted(name)} is not a name of 1 to {LONGEST_NAME} characters on one line, without"
            " spaces around it"
        )
    return name


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidOption(f"a password has {SHORTEST} to {LONGEST} characters")
    return generate_password_hash(_normal(password))


@cache
def _nobody_s() -> str:
    """Return the hash of a password that nobody knows.

    With it, an unknown name takes as long to refuse as a known one.
    """
    return generate_password_hash(token_urlsafe(24))


def _normal(password: str) -> str:
    """Return a password in the one form that keyboards write it in differently."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


def _digest(kind: str, value: str) -> str:
    return sha256(f"{kind}:{value}".encode("utf-8", "replace")).hexdigest()
