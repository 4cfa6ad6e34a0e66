"""The engine: which database, and how it is pooled."""

from pathlib import Path
from typing import Any

import psycopg
from flask import Flask

from app.db import db

CONNECT_TIMEOUT = 5


def init_app(app: Flask) -> None:
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(app)
    db.init_app(app)


def _options(app: Flask) -> dict[str, Any]:
    # All of them are kept once opened: one more connection costs more than one that idles.
    options: dict[str, Any] = {"pool_size": app.config["DATABASE_POOL_SIZE"], "max_overflow": 0}
    if app.config["SQLALCHEMY_DATABASE_URI"]:
        return {**options, "connect_args": _connect_args(app)}
    # Only development comes here. The server is started by the first connection, so that a
    # command that needs no database does not wait for one.
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    return {**options, "creator": lambda: _connect_embedded(Path(app.instance_path))}


def _connect_args(app: Flask) -> dict[str, Any]:
    given: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT}
    if not app.config["DATABASE_PREPARED_STATEMENTS"]:
        # A transaction pooler may run the next statement where it was never prepared
        # (https://www.psycopg.org/psycopg3/docs/advanced/prepare.html).
        given["prepare_threshold"] = None
    return given


def _connect_embedded(instance: Path) -> psycopg.Connection[Any]:
    from app.dev.postgres import ensure_running  # noqa: PLC0415 - development only

    url = ensure_running(instance).replace("postgresql+psycopg://", "postgresql://")
    return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT)
