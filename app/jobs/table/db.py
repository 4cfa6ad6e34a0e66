"""The app's database as the jobs use it, and the base of their own tables.

The extension has a `MetaData` of its own, so that nothing of the app's is needed to declare its
tables; its sessions and engines are those of the app's Flask-SQLAlchemy.
"""

from typing import TYPE_CHECKING, Any

from flask import Flask, current_app
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.orm import DeclarativeBase, Session, scoped_session

from ..errors import JobsNotInitialised

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from flask_sqlalchemy.session import Session as HostSession


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


def upgrade_command() -> str:
    """Name the command that makes and changes the tables: the app's own, where it has one."""
    return "flask db upgrade" if "migrate" in current_app.extensions else "flask jobs db upgrade"


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
    # Flask-SQLAlchemy looks there for the engine of a table, and so for all apps of a process.
    if Base.metadata.info.setdefault("bind_key", key) != key:
        raise JobsNotInitialised("JOBS_BIND_KEY must be the same for all apps of a process")
