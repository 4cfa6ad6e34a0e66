"""The engine: its database, and how connections are made and pooled."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from flask import Flask
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzLoader
from sqlalchemy import event

from app.config import ConfigError
from app.db import db
from app.jobs.kit import jsonb

#: In seconds, except the last, which libpq takes in milliseconds. A server that vanishes without
#: closing its connections (a failover, a cut network) is noticed after 25 s without an answer, or
#: 15 s without an acknowledgement; the kernel's own limits are minutes to hours.
LIMITS = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: Seconds that a thread waits for a connection of the pool.
POOL_TIMEOUT = 10
#: Seconds after which a connection is replaced when it is next used.
POOL_RECYCLE = 1800
#: A day within the calendar's limits, so that they exist in every time zone.
FIRST_MOMENT = datetime(1, 1, 2, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)


#: Starts a database if it does not run, and returns its URL.
Embedded = Callable[[], str]


def init_app(app: Flask, embedded: Embedded) -> None:
    """Bind `db` to the app.

    Args:
        app: The app.
        embedded: The database of an app that has no DATABASE_URL. It is started by the first
            connection, so that a command that needs no database does not wait for one.
    """
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(app, embedded)
    db.init_app(app)
    with app.app_context():
        event.listen(db.engine, "connect", _read_any_moment)


def none_embedded() -> str:
    """Replace the embedded database in a program that starts none."""
    raise ConfigError(
        {"DATABASE_URL": ["is empty, and this program does not start a database itself."]}
    )


class _Moments(TimestamptzLoader):
    """Reads a time beyond Python's calendar as the calendar's start or end.

    PostgreSQL's calendar is longer and has infinity. If that were an error, one such value would
    fail every query that includes its row.
    """

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            is_early = bytes(data).startswith(b"-") or bytes(data).endswith(b"BC")
            return FIRST_MOMENT if is_early else LAST_MOMENT


def _read_any_moment(connection: psycopg.Connection[Any], _: object) -> None:
    connection.adapters.register_loader("timestamptz", _Moments)


def _options(app: Flask, embedded: Embedded) -> dict[str, Any]:
    # All of them stay open: opening a connection costs more than an idle one.
    options: dict[str, Any] = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT,
        "pool_recycle": POOL_RECYCLE,
        # Parameters of statements may be addresses or passwords, so errors do not quote them.
        "hide_parameters": True,
        "json_deserializer": jsonb.read,
    }
    if app.config["SQLALCHEMY_DATABASE_URI"]:
        return {**options, "connect_args": _connect_args(app)}
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    return {**options, "creator": lambda: _connect(embedded())}


def _connect_args(app: Flask) -> dict[str, Any]:
    given: dict[str, Any] = dict(LIMITS)
    if not app.config["DATABASE_PREPARED_STATEMENTS"]:
        # A transaction pooler may run the next statement where it was never prepared
        # (https://www.psycopg.org/psycopg3/docs/advanced/prepare.html).
        given["prepare_threshold"] = None
    return given


def _connect(url: str) -> psycopg.Connection[Any]:
    limits: dict[str, Any] = dict(LIMITS)
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), **limits)
