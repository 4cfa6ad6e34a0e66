"""The app's database as the jobs use it: tables, sessions, short transactions, every connection.

The extension has its own `MetaData`, so that nothing of the app's is needed to declare its
tables; its sessions and engines are those of the app's Flask-SQLAlchemy. What is done about a
connection (a time limit is heard, a demoted server left, a handler's settings are undone) is done
about those of all engines of the process, so that a handler may use one of its own.
"""

import re
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app
from psycopg import Connection as DriverConnection
from psycopg import Error as DatabaseError
from psycopg.errors import DatatypeMismatch, UndefinedColumn, UndefinedTable
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, scoped_session
from sqlalchemy.pool import Pool, PoolResetState

from ..context import current_job
from ..deadline import raise_if_due
from ..errors import DatabaseUnavailable, JobsNotInitialised
from . import schema

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from flask_sqlalchemy.session import Session as HostSession

T = TypeVar("T")

#: The SQLSTATE of a write where only reads are allowed: after a failover, on what is a standby now.
READ_ONLY = "25006"

#: Errors of PostgreSQL that are no fault of the statement: it stops or starts (57P…), has no
#: connection left, or no room on its disk; or this one is a standby now, and only read from.
_OUTAGES = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "53100", READ_ONLY})
#: How a column begins that `flask db upgrade` has not made yet what JOBS_ID_TYPE says.
_OWNER_COLUMN = re.compile(r'^column "(user|organization)_id" is of type')
#: The class of errors of the connection itself.
_CONNECTION = "08"
#: Two transactions were in each other's way: this one was undone, and may simply be done again.
_COLLISIONS = frozenset({"40001", "40P01"})

#: macOS does not tell of the other side's hanging up, but has then something to read.
_HUNG_UP = getattr(select, "POLLRDHUP", select.POLLIN)

_USED = "jobs_used_by_a_handler"
# All that a session keeps over its transactions, but for prepared statements, which the driver
# counts on.
_FORGET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)


class _BindKey(dict[Any, Any]):
    """Answers Flask-SQLAlchemy which engine the tables are on: the current app's JOBS_BIND_KEY."""

    def __contains__(self, key: object) -> bool:
        return key == "bind_key" or super().__contains__(key)

    def __getitem__(self, key: Any) -> Any:
        if key == "bind_key":
            return current_app.config["JOBS_BIND_KEY"] or None
        return super().__getitem__(key)


class Base(DeclarativeBase):
    """What the models of jobs subclass."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    metadata.info = _BindKey()


class Database:
    """The current app's session, and its engine for jobs: JOBS_BIND_KEY's, or the default one."""

    @property
    def session(self) -> "scoped_session[HostSession]":
        return self._host().session

    @property
    def engine(self) -> Engine:
        return self._host().engines[current_app.config["JOBS_BIND_KEY"] or None]

    def _host(self) -> "SQLAlchemy":
        host: SQLAlchemy = current_app.extensions["sqlalchemy"]
        return host


db = Database()


def connection_of(session: "scoped_session[Any] | Session") -> Connection:
    """Return the connection of a session's transaction to the database that has the jobs."""
    return session.connection(bind_arguments={"clause": Base.metadata.tables["job_executions"]})


@contextmanager
def completing(session: "scoped_session[Any]") -> Iterator[Connection]:
    """Yield the connection on which a job is completed, for a block that commits the session.

    It is the session's own. With JOBS_BIND_KEY it cannot be, and commits after that block: if the
    process dies in between, the work is done again rather than lost.
    """
    if not current_app.config["JOBS_BIND_KEY"]:
        yield connection_of(session)
        return
    with db.engine.begin() as connection:
        yield connection


def upgrade_command() -> str:
    """Name the command that makes and changes the tables: the app's own, where that does it."""
    own = getattr(current_app.extensions.get("migrate"), "directory", None)
    versions = Path(own, "versions").glob("*.py") if own else ()
    is_own = any("migrations.upgrade(" in path.read_text("utf-8") for path in versions)
    return "flask db upgrade" if is_own else "flask jobs db upgrade"


def init_app(app: Flask, given: "SQLAlchemy | None") -> None:
    """See that the app has its database, and the tables their engine.

    Raises:
        JobsNotInitialised: It has none yet, or another than was given, or no such bind key.
    """
    found = app.extensions.get("sqlalchemy")
    if found is None:
        raise JobsNotInitialised("this app has no database yet: call db.init_app(app) before")
    if given is not None and given is not found:
        raise JobsNotInitialised("this app has another database than Jobs(app, db) was given")
    key = app.config["JOBS_BIND_KEY"] or None
    with app.app_context():
        if key not in found.engines:
            raise JobsNotInitialised(f"JOBS_BIND_KEY is {key!r}, which SQLALCHEMY_BINDS has not")
        _check_driver(found.engines[key])
    with app.app_context():
        schema.init_app(app, found.engines[key])


def _check_driver(engine: Engine) -> None:
    dialect = engine.dialect
    if (dialect.name, dialect.driver) != ("postgresql", "psycopg"):
        raise JobsNotInitialised(
            f"the database's URL begins with {engine.url.drivername}://, but jobs need PostgreSQL "
            "through psycopg 3: begin it with postgresql+psycopg://"
        )


def in_transaction(work: Callable[[Connection], T]) -> T:
    """Run `work` and commit.

    A pooled connection may have died since its last use (PostgreSQL restarted), or lead to what
    is only a standby now, which only its next statement shows. Nothing was committed then, so the
    work is done once more on a new one: cheaper than asking every connection beforehand whether it
    is alive. So it is after a deadlock.

    Raises:
        DatabaseUnavailable: The database cannot be reached, or has no such table; `is_uncertain`
            where only the answer to the commit was lost.
    """
    return _explained(work, alone=False)


def in_one_statement(work: Callable[[Connection], T]) -> T:
    """Run `work`, a single statement that commits by itself: in a third of the round trips.

    Where its connection breaks nobody knows whether it was done, and it is made again all the same,
    so it has to be one that changes nothing the second time. Raises as `in_transaction` does.
    """
    try:
        return _explained(work, alone=True)
    except DatabaseUnavailable as error:
        if not error.is_uncertain:
            raise
        lost = error
    try:
        return _explained(work, alone=True)
    except DatabaseUnavailable as error:
        error.is_uncertain = True
        raise error from lost


def _explained(work: Callable[[Connection], T], *, alone: bool) -> T:
    try:
        try:
            return _attempt(work, alone=alone)
        except _Stale:
            return _attempt(work, alone=alone)
    except _Stale as stale:
        _explain(stale.error)
        raise stale.error from None
    except _Unanswered as lost:
        reason = str(lost.error.orig).strip().split("\n", 1)[0]
        message = f"the database did not answer the commit, which may be done: {reason}"
        raise DatabaseUnavailable(message, is_uncertain=True) from lost.error
    except SQLAlchemyError as error:
        _explain(error)
        raise


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `DatabaseUnavailable` where a query fails because of the database, not of itself."""
    try:
        yield
    except SQLAlchemyError as error:
        _explain(error)
        raise


def _explain(error: SQLAlchemyError) -> None:
    cause = getattr(error, "orig", None) or error
    reason = str(cause).strip().split("\n", 1)[0]
    if _is_outage(error):
        said = f"the database cannot be reached: {reason}"
        raise DatabaseUnavailable(said, is_outage=True) from error
    if isinstance(cause, UndefinedTable | UndefinedColumn):
        message = f"the database is not migrated ({reason}); run `{upgrade_command()}`"
        raise DatabaseUnavailable(message) from error
    if isinstance(cause, DatatypeMismatch) and _OWNER_COLUMN.match(reason):
        message = f"the columns are not what JOBS_ID_TYPE says ({reason})"
        message += f"; run `{upgrade_command()}`"
        raise DatabaseUnavailable(message) from error


def _is_outage(error: SQLAlchemyError) -> bool:
    """Tell whether the database is away, rather than at odds with the statement."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error.orig)
    if state is None:  # not the server's own words: it could not be reached, or is gone
        return error.connection_invalidated or isinstance(error, OperationalError)
    return state in _OUTAGES or state.startswith(_CONNECTION)


class _Stale(Exception):
    """The work changed nothing, through no fault of its own."""

    def __init__(self, error: DBAPIError) -> None:
        self.error = error


class _Unanswered(Exception):
    """The connection broke while it committed, or before a statement of its own was answered.

    Nobody knows whether that is done.
    """

    def __init__(self, error: DBAPIError) -> None:
        self.error = error


def _attempt(work: Callable[[Connection], T], *, alone: bool) -> T:
    with db.engine.connect() as connection:
        if alone:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            result = work(connection)
        except DBAPIError as error:
            if error.connection_invalidated and alone:
                raise _Unanswered(error) from error
            if error.connection_invalidated or _sqlstate(error.orig) in _COLLISIONS:
                raise _Stale(error) from error
            raise
        try:
            connection.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _Unanswered(error) from error
            raise
    return result


def _sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's code for an error; None where it is not the server that speaks."""
    return error.sqlstate if isinstance(error, DatabaseError) else None


@event.listens_for(Engine, "before_cursor_execute")
def _before_statement(connection: Connection, *_: Any) -> None:
    raise_if_due()
    if current_job.get() is not None:
        connection.info[_USED] = True


@event.listens_for(Pool, "checkout")
def _before_use(connection: Any, *_: Any) -> None:
    """Have the pool replace a connection that the server has closed meanwhile.

    A statement sent on it could not be told from one whose answer was lost.
    """
    raise_if_due()
    if isinstance(connection, DriverConnection) and _is_closed(connection):
        raise DisconnectionError("the server has closed the connection")


def _is_closed(connection: "DriverConnection[Any]") -> bool:
    """Tell whether the other side has hung up, without asking it anything."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), _HUNG_UP)
    return bool(poll.poll(0))


@event.listens_for(Engine, "handle_error")
def _leave_a_standby(context: ExceptionContext) -> None:
    """Have the pool open new connections, which lead to the server that can be written to."""
    if _sqlstate(context.original_exception) == READ_ONLY:
        context.is_disconnect = True


@event.listens_for(Pool, "reset")
def _forget(connection: Any, record: Any, _: PoolResetState) -> None:
    """Undo what a handler's `SET` and the like would leave for the next user of the connection."""
    if record is None:  # it was detached from the pool, and is closed instead
        return
    if record.info.pop(_USED, False) and isinstance(connection, DriverConnection):
        connection.rollback()
        connection.autocommit = True
        try:
            connection.execute(_FORGET, prepare=False)
            schema.find_again(connection, record)
        finally:
            connection.autocommit = False
