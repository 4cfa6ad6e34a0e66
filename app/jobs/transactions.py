"""Short transactions of our own, apart from the caller's session."""

from collections.abc import Callable
from typing import TypeVar

from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import db
from app.jobs.errors import DatabaseUnavailable

T = TypeVar("T")


def in_transaction(work: Callable[[Connection], T]) -> T:
    """Run `work` and commit.

    A pooled connection may have died since its last use (PostgreSQL restarted), which only its
    next statement shows. Nothing was committed then, so the work is done once more on a new one:
    cheaper than asking every connection beforehand whether it is alive.

    Raises:
        DatabaseUnavailable: The database cannot be reached, or has no such table.
    """
    try:
        try:
            return _attempt(work)
        except _Stale:
            return _attempt(work)
    except _Stale as stale:
        raise unavailable(stale.error) from stale.error
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise unavailable(error) from error
    except ProgrammingError as error:
        if isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise DatabaseUnavailable(
                f"the database is not migrated ({_first_line(error.orig)}); run `flask db upgrade`"
            ) from error
        raise


def unavailable(error: Exception) -> DatabaseUnavailable:
    reason = _first_line(getattr(error, "orig", None) or error)
    return DatabaseUnavailable(f"the database cannot be reached: {reason}")


class _Stale(Exception):
    """The connection was dead before the work changed anything."""

    def __init__(self, error: DBAPIError) -> None:
        self.error = error


def _attempt(work: Callable[[Connection], T]) -> T:
    with db.engine.connect() as connection:
        try:
            result = work(connection)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _Stale(error) from error
            raise
        connection.commit()
    return result


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
