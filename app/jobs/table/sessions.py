"""A caller's session, in whose transaction jobs are recorded."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from ..errors import InvalidOption, quoted
from .db import connection_of
from .models import JobExecution

AnySession = Session | scoped_session[Any]

_UNBOUND = "session: has no engine for the jobs' tables; make it with db.engine, or pass db.session"


def callers_connection(session: AnySession) -> Connection:
    """Return the connection of a session's transaction; raises as `check_session` does."""
    check_kind(session)
    try:
        return connection_of(session)
    except UnboundExecutionError:
        raise InvalidOption(_UNBOUND) from None


def check_session(session: object) -> None:
    """Refuse what jobs cannot be recorded in, before there is anything to record.

    Raises:
        InvalidOption: It is none of SQLAlchemy's, or knows no database that has the jobs.
    """
    try:
        check_kind(session).get_bind(clause=JobExecution.__table__)
    except UnboundExecutionError:
        raise InvalidOption(_UNBOUND) from None


def check_kind(session: object) -> AnySession:
    """Return a session; raises as `check_session` does where it is none."""
    if isinstance(session, Session | scoped_session):
        return session
    said = f"{quoted(session)} is not a SQLAlchemy session; {_fix(session)}"
    raise InvalidOption(f"session: {said}")


def _fix(given: object) -> str:
    if isinstance(getattr(given, "session", None), Session | scoped_session):
        return "write session=db.session"
    if isinstance(given, sessionmaker):
        return "call it, and pass what it returns"
    if type(given).__module__.startswith("sqlalchemy.ext.asyncio"):
        return "jobs are recorded synchronously: pass db.session, or a Session of yours"
    return "pass db.session, or a Session of yours"
