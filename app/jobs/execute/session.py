"""The app's sessions while a handler runs: bounded by its time limit and its lease."""

import logging

from flask import Flask
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from ..context import current_job
from ..table.db import db

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Listen to the sessions of the app's database, only once if several apps share it."""
    sessions = app.extensions["sqlalchemy"].session
    if not event.contains(sessions, "after_begin", _limit_statements):
        event.listen(sessions, "after_begin", _limit_statements)
        event.listen(sessions, "before_flush", _notice_a_lost_lease)


def drop_connection() -> None:
    """Discard the connection of an interrupted handler: its work may be half done."""
    try:
        db.session().invalidate()
    except Exception:
        log.exception("[jobs] Session of an interrupted handler discarded")
        db.session.registry.clear()


def _limit_statements(_: Session, __: SessionTransaction, connection: Connection) -> None:
    """Limit each of a handler's transactions to the time that the handler has left."""
    job = current_job.get()
    if job is not None and connection.dialect.name == "postgresql":
        milliseconds = max(1, round(job.deadline * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")


def _notice_a_lost_lease(*_: object) -> None:
    """Stop before more work reaches the database, if another delivery has the job by now."""
    job = current_job.get()
    if job is not None:
        job.look_again()
