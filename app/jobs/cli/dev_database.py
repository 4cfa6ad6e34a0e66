"""The database of `flask jobs dev`: the app's own, or an embedded PostgreSQL where it has none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import ScriptInfo

from ...dev_settings import DATABASE_NAMES

if TYPE_CHECKING:
    from ...embedded_postgres.server import Server

#: The name of a database at an address where nobody listens.
_NOWHERE = "embedded-by-flask-jobs-dev"


def is_named() -> bool:
    """Tell whether the environment names a database."""
    return any(os.environ.get(name) for name in DATABASE_NAMES)


@contextmanager
def without_address(settings: dict[str, str]) -> Iterator[None]:
    """Have an app be made that has no address yet, and which is to have these settings."""
    before = dict(os.environ)
    os.environ.update(settings)
    os.environ.update(dict.fromkeys(DATABASE_NAMES, f"postgresql+psycopg://127.0.0.1:9/{_NOWHERE}"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def has_none(app: Flask) -> bool:
    """Tell whether an app that was made so uses no address of its own."""
    if "sqlalchemy" not in app.extensions:
        return False
    with app.app_context():
        engines = app.extensions["sqlalchemy"].engines.values()
    return any(engine.url.database == _NOWHERE for engine in engines)


def is_needed(info: ScriptInfo, settings: dict[str, str]) -> bool:
    """Tell whether neither the environment nor the app itself names a database."""
    if is_named():
        return False
    with without_address(settings):
        try:
            return has_none(info.load_app())
        except Exception:  # noqa: BLE001 - an app that does not start yet says so when it is run
            return True


def about_embedded() -> str:
    """Say what an app without an address gets, or what it needs to get it."""
    from ...embedded_postgres.binaries import (  # noqa: PLC0415 - as below
        PostgresError,
        find_binaries,
    )

    try:
        find_binaries()
    except PostgresError as error:
        return f"the app names none: set DATABASE_URL. For an embedded one: {error}"
    return (
        "the app names none: `flask jobs dev` runs an embedded PostgreSQL for it, with the tables\n"
        "of the jobs, and passes it on as DATABASE_URL; set that where you have another"
    )


@contextmanager
def embedded(folder: Path) -> Iterator[dict[str, str]]:
    """Run a PostgreSQL with its data below `folder`, and yield the settings that lead to it.

    Raises:
        PostgresError: There is none on this machine, or it did not start.
    """
    from ...embedded_postgres.server import (  # noqa: PLC0415 - an app itself starts none
        DEVELOPMENT_DATABASE,
        Server,
    )

    server = Server(folder / "postgres")
    with server.in_use():
        url = server.create_database(DEVELOPMENT_DATABASE)
        click.echo(f"PostgreSQL is running at 127.0.0.1:{server.port} (data in {_short(server)})")
        yield dict.fromkeys(DATABASE_NAMES, url)


def _short(server: "Server") -> Path:
    here = Path.cwd()
    return server.home.relative_to(here) if server.home.is_relative_to(here) else server.home
