"""Share between the thousands of apps of a run the engine of the database that they all use.

An engine of its own has each app ask the server anew what it is, and compile again every statement
that the one before it has compiled. Connections are not shared: each test closes its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, make_url

from app.db import db

_make: Callable[..., Engine] = SQLAlchemy._make_engine
_shared: dict[str, Engine] = {}


@contextmanager
def sharing(database_url: str) -> Iterator[None]:
    """Have the apps whose database it is, and that ask for the same options, share an engine."""

    def make(own: SQLAlchemy, key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        # JOBS_SCHEMA has an engine's connections changed when they are made.
        is_other = own is not db or make_url(options["url"]) != make_url(database_url)
        if is_other or app.config.get("JOBS_SCHEMA"):
            return _make(own, key, options, app)
        asked_for = repr(sorted(options.items()))
        if asked_for not in _shared:
            _shared[asked_for] = _make(own, key, options, app)
        return _shared[asked_for]

    SQLAlchemy._make_engine = make  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        SQLAlchemy._make_engine = _make  # type: ignore[method-assign]
        for engine in _shared.values():
            engine.dispose()
        _shared.clear()


def close(engine: Engine) -> None:
    """Close an engine's connections, unless another app of the same test is using one of them.

    That one would be left open with nobody to close it. The app that ends last closes all.
    """
    pool: Any = engine.pool
    if engine not in _shared.values() or not pool.checkedout():
        engine.dispose()
