"""A caller's session, in whose transaction jobs are recorded."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from ..errors import InvalidOption, quoted
from .db import connection_of
from .models import JobExecution

AnySession = Session | scoped_session[Any]


def callers_connection(session: AnySession) -> Connection:
    """Return the connection of a session's transaction; raises as `check_session` does."""
    check_session(session)
    return connection_of(session)


def check_session(session: object) -> None:
    """Refuse what jobs cannot be recorded in.

    Raises:
        InvalidOption: It is none of SQLAlchemy's, or knows no database that has the jobs.
    """
    if not isinstance(session, Session | scoped_session):
        said = f"{quoted(session)} is not a SQLAlchemy session; {_fix(session)}"
        raise InvalidOption(f"session: {said}")
    try:
        session.get_bind(clause=JobExecution.__table__)
    except UnboundExecutionError:
        said = "has no engine for the jobs' tables; make it with db.engine, or pass db.session"
        raise InvalidOption(f"session: {said}") from None


def _fix(given: object) -> str:
    if isinstance(getattr(given, "session", None), Session | scoped_session):
        return "write session=db.session"
    if isinstance(given, sessionmaker):
        return "call it, and pass what it returns"
    return "pass db.session, or a Session of yours"
