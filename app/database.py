"""The engine: which database, and how it is pooled."""

from pathlib import Path
from typing import Any

import psycopg
from flask import Flask

from app.db import db

#: Seconds, but for the last, which libpq takes in milliseconds. A server that vanishes without
#: closing its connections (a failover, a cut network) is noticed after 25 s when it should answer,
#: or 15 s when it should take what is sent; the kernel's own limits are minutes to hours.
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


def init_app(app: Flask) -> None:
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(app)
    db.init_app(app)


def _options(app: Flask) -> dict[str, Any]:
    # All of them are kept once opened: one more connection costs more than one that idles.
    options: dict[str, Any] = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        "max_overflow": 0,
        "pool_timeout": POOL_TIMEOUT,
        "pool_recycle": POOL_RECYCLE,
        # What a statement was given may be anybody's address or password: errors do not quote it.
        "hide_parameters": True,
    }
    if app.config["SQLALCHEMY_DATABASE_URI"]:
        return {**options, "connect_args": _connect_args(app)}
    # Only development comes here. The server is started by the first connection, so that a
    # command that needs no database does not wait for one.
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    return {**options, "creator": lambda: _connect_embedded(Path(app.instance_path))}


def _connect_args(app: Flask) -> dict[str, Any]:
    given: dict[str, Any] = dict(LIMITS)
    if not app.config["DATABASE_PREPARED_STATEMENTS"]:
        # A transaction pooler may run the next statement where it was never prepared
        # (https://www.psycopg.org/psycopg3/docs/advanced/prepare.html).
        given["prepare_threshold"] = None
    return given


def _connect_embedded(instance: Path) -> psycopg.Connection[Any]:
    from app.dev.postgres import ensure_running  # noqa: PLC0415 - development only

    limits: dict[str, Any] = dict(LIMITS)
    url = ensure_running(instance).replace("postgresql+psycopg://", "postgresql://")
    return psycopg.connect(url, **limits)
