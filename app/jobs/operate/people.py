"""Who signs in to the dashboard by a password: made, changed and removed by others."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from secrets import token_urlsafe
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ..errors import InvalidOption, quoted
from ..table import audit, marks, people
from ..table.db import in_transaction
from ..table.people import JobUser
from ..values.ids import OwnerId
from . import passwords

Role = Literal["viewer", "operator", "admin"]

LONGEST_NAME = 100

_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]([^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\S)?")
_users = cast("Table", JobUser.__table__)


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
        "password_hash": passwords.hashed(password),
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
    unless, is_loss = _users.c.role == role, role != "admin"
    _change(name, values, by, "user role", more, unless=unless, ends=False, is_loss=is_loss)


def set_password(name: str, password: str, *, by: str) -> None:
    """Give somebody another password, and end their sessions.

    Raises:
        InvalidOption: There is nobody of that name, or the password is too short.
    """
    _change(name, {"password_hash": passwords.hashed(password)}, by, "user password")


def disable(name: str, *, by: str) -> None:
    """Have somebody sign in no more, and end their sessions.

    Raises:
        InvalidOption: There is nobody of that name, or they are the last admin.
    """
    unless = _users.c.disabled_at.is_not(None)
    _change(name, {"disabled_at": func.now()}, by, "user disable", unless=unless, is_loss=True)


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
    unless = _users.c.disabled_at.is_(None)
    _change(name, {"disabled_at": None}, by, "user enable", unless=unless)


def find_user(tx: Connection, name: str) -> Row[Any] | None:
    """Return somebody's row, also of who is disabled; the name may be in any case."""
    if "\0" in name or len(name) > passwords.LONGEST:
        return None
    wanted = func.lower(name.strip().encode("utf-8", "replace").decode())
    return tx.execute(select(_users).where(func.lower(_users.c.name) == wanted)).one_or_none()


def _change(
    name: str,
    values: dict[str, Any],
    by: str,
    action: str,
    more: dict[str, Any] | None = None,
    *,
    unless: ColumnElement[bool] | None = None,
    ends: bool = True,
    is_loss: bool = False,
) -> None:
    """Change somebody, on record, unless they are so already."""

    def work(tx: Connection, found: Row[Any]) -> None:
        if is_loss:
            _keep_an_admin(tx, found)
        change = update(_users).where(_users.c.id == found.id).values(**values)
        if not tx.execute(change if unless is None else change.where(~unless)).rowcount:
            return
        if ends:
            tx.execute(people.END_SESSIONS, {"job_user_id": found.id})
        wanted = {"user": found.name, **(more or {})}
        audit.record_action(tx, actor=by, action=action, wanted=wanted)

    _with(name, work)


def _with(name: str, change: Callable[[Connection, Row[Any]], None]) -> None:
    """Change somebody in one transaction; raises `InvalidOption` where there is nobody."""

    def work(tx: Connection) -> bool:
        found = find_user(tx, name)
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


def _checked_name(name: str) -> str:
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidOption(
            f"{quoted(name)} is not a name of 1 to {LONGEST_NAME} characters on one line, without"
            " spaces around it"
        )
    return name
