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
    options: dict[str, Any] = {"connect_args": {"connect_timeout": CONNECT_TIMEOUT}}
    if not app.config["SQLALCHEMY_DATABASE_URI"]:
        # Only development comes here. The server is started by the first connection, so that a
        # command that needs no database does not wait for one.
        app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
        options = {"creator": lambda: _connect_embedded(Path(app.instance_path))}
    return options


def _connect_embedded(instance: Path) -> psycopg.Connection[Any]:
    from app.dev.postgres import ensure_running  # noqa: PLC0415 - development only

    url = ensure_running(instance).replace("postgresql+psycopg://", "postgresql://")
    return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT)
