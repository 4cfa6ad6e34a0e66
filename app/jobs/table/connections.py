"""What is done about every connection: a time limit heard, a demoted server left, settings undone.

These listen to all engines of the process, so a handler may use one of its own.
"""

from typing import Any

from psycopg import Connection as DriverConnection
from psycopg import Error as DatabaseError
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import Pool, PoolResetState

from ..context import current_job
from ..deadline import raise_if_due

#: The SQLSTATE of a write where only reads are allowed: after a failover, on what is a standby now.
READ_ONLY = "25006"

_USED = "jobs_used_by_a_handler"
# All that a session keeps over its transactions, but for prepared statements, which the driver
# counts on.
_FORGET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)


def sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's code for an error; None where it is not the server that speaks."""
    return error.sqlstate if isinstance(error, DatabaseError) else None


@event.listens_for(Engine, "before_cursor_execute")
def _before_statement(connection: Connection, *_: Any) -> None:
    raise_if_due()
    if current_job.get() is not None:
        connection.info[_USED] = True


@event.listens_for(Pool, "checkout")
def _before_use(*_: Any) -> None:
    raise_if_due()


@event.listens_for(Engine, "handle_error")
def _leave_a_standby(context: ExceptionContext) -> None:
    """Have the pool open new connections, which lead to the server that can be written to."""
    if sqlstate(context.original_exception) == READ_ONLY:
        context.is_disconnect = True


@event.listens_for(Pool, "reset")
def _forget(connection: Any, record: Any, _: PoolResetState) -> None:
    """Undo what a handler's `SET` and the like would leave to whoever has the connection next."""
    if record is None:  # it was detached from the pool, and is closed instead
        return
    if record.info.pop(_USED, False) and isinstance(connection, DriverConnection):
        connection.rollback()
        connection.autocommit = True
        try:
            connection.execute(_FORGET, prepare=False)
        finally:
            connection.autocommit = False
