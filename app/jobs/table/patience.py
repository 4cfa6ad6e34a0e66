"""What is counted for somebody who does not wait long for a number."""

from collections.abc import Callable
from typing import TypeVar

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from .db import in_transaction

T = TypeVar("T")


def patiently(work: Callable[[Connection], T], milliseconds: int) -> T | None:
    """Return what `work` finds, or None where a statement of its takes longer than that.

    Raises:
        DatabaseUnavailable: The database cannot be asked.
    """

    def limited(tx: Connection) -> T:
        tx.exec_driver_sql(f"SET LOCAL statement_timeout = {int(milliseconds)}")
        return work(tx)

    try:
        return in_transaction(limited)
    except OperationalError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        return None
