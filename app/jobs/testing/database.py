"""A database of the tests' own, so that no test works on the one of development."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from flask import current_app
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL

from .. import migrations
from ..table.db import db
from . import contents

#: The word that the name of a database must have in it whose tables are emptied.
_MARK = "test"
_MARKED = re.compile(rf"(?<![a-z]){_MARK}(s|ing)?(?![a-z])", re.IGNORECASE)
#: In bytes, less what follows; PostgreSQL would cut a longer name.
_LONGEST = 40
# Somebody's open transaction would be waited for without end.
_PATIENCE = text("SET LOCAL lock_timeout = '20s'")


@contextmanager
def temporary_database(url: str, *, name: str = "") -> Iterator[str]:
    """Create an empty database, yield its URL, and drop it at the end.

    Args:
        url: Of any database on the same server, such as that of `flask jobs dev`; its user must be
            allowed to create others.
        name: How the new one's name begins; by default as that of the other one.
    """
    beside = make_url(url).set(drivername="postgresql+psycopg")
    begin = (name or beside.database or "")[:_LONGEST]
    own = beside.set(database=f"{begin}_{_MARK}_{uuid4().hex[:12]}")
    _execute(beside, f'CREATE DATABASE "{own.database}"')
    try:
        yield own.render_as_string(hide_password=False)
    finally:
        _execute(beside, f'DROP DATABASE IF EXISTS "{own.database}" WITH (FORCE)')


@contextmanager
def clean_tables() -> Iterator[None]:
    """Make the tables of the current app, where they are missing, and empty them at the end.

    These are the tables of the jobs, as `flask jobs db upgrade` makes them, and those that
    `db.create_all()` makes. All others in the app's databases are emptied, too, but for Alembic's.
    The session is removed and the connections are closed at the end.

    Raises:
        AssertionError: A database's name does not have the word "test" in it, so it may be another;
            nothing was changed.
    """
    host = current_app.extensions["sqlalchemy"]
    for engine in host.engines.values():
        _check_name(engine.url)
    with db.engine.begin() as connection:
        migrations.upgrade(connection)
    host.create_all()
    try:
        yield
    finally:
        host.session.remove()
        for engine in host.engines.values():
            with engine.begin() as connection:
                _empty(connection)
            engine.dispose()


def _check_name(url: URL) -> None:
    if not _MARKED.search(url.database or ""):
        raise AssertionError(
            f"the tests would empty the database {url.database!r}: give the app one of their own, "
            f"by temporary_database(…), or one whose name has the word {_MARK!r} in it"
        )


def _empty(connection: Connection) -> None:
    """Empty the tables that have rows: to truncate one costs far more than to look into it."""
    names = contents.table_names(connection)
    looks = (f"SELECT '{one}' WHERE EXISTS (SELECT FROM {one})" for one in names)  # noqa: S608 - names of tables, quoted by PostgreSQL
    if filled := connection.scalars(text(" UNION ALL ".join(looks))).all():
        connection.execute(_PATIENCE)
        connection.execute(text(f"TRUNCATE {', '.join(filled)} CASCADE"))


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
