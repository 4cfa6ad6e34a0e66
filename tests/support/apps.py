"""Apps for tests: their settings, their databases, their end."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from flask import current_app

from app.db import db
from app.jobs.testing import temporary_database
from tests.support import shared_engine
from tests.support.tables import table_names

#: What a production must be given.
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "s" * 32,
    "BASE_URL": "https://app.example.com/",
    "DATABASE_URL": "postgres://u:p%40ss@db.example.com/app?sslmode=require",
    "QSTASH_TOKEN": "token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next",
    "RESEND_API_KEY": "re_1",
    "RESEND_FROM_EMAIL": "Acme <mail@example.com>",
    "JOBS_ENCRYPTION_KEYS": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
}


# Rows from which on a table is truncated.
_MANY = 500


def settings(database_url: str) -> dict[str, Any]:
    return {
        "TESTING": True,
        "SQLALCHEMY_DATABASE_URI": database_url,
        "BASE_URL": "https://app.example.com",
        "QSTASH_URL": "http://127.0.0.1:9",  # the discard port: refused at once
        "RESEND_API_KEY": "",
        "JOBS_SWEEP_EVERY": 0,
    }


def names_in(env: str) -> set[str]:
    """Return which settings the text of an .env file names."""
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", env, re.MULTILINE))


def fresh_database(server: str, name: str) -> AbstractContextManager[str]:
    """Create an empty database, yield its URL, and drop it at the end.

    Its name begins with the given one; other workers, and other runs, may use the same server.
    """
    return temporary_database(server, name=name)


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def connected() -> Iterator[psycopg.Connection[Any]]:
    """Connect to the current app's database, past its pool."""
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        yield connection


def empty_tables() -> None:
    """Empty those tables that a test filled.

    TRUNCATE makes new files for a table and each of its indexes, which for a few rows costs far
    more than to delete them.
    """
    looks = (
        f"SELECT '{one}', EXISTS (SELECT FROM {one} OFFSET {_MANY})"  # noqa: S608 - our own names
        f" WHERE EXISTS (SELECT FROM {one})"
        for one in table_names()
    )
    filled = db.session.execute(db.text(" UNION ALL ".join(looks))).all()
    # Neither triggers nor references matter where all goes.
    db.session.execute(db.text("SET LOCAL session_replication_role = replica"))
    for table, has_many in filled:
        emptying = f"TRUNCATE {table} CASCADE" if has_many else f"DELETE FROM {table}"  # noqa: S608
        db.session.execute(db.text(emptying))
    db.session.commit()


def close_connections() -> None:
    """Close the current app's connections, to its databases and to QStash."""
    # What the dashboard computes beside a request may go on after it.
    for figure in current_app.extensions.get("jobs.dashboard.cached", {}).values():
        with figure.lock:
            pass
    # What is not noted yet would open another one, a moment later.
    current_app.extensions["jobs"].notes.flush()
    sqlalchemy = current_app.extensions["sqlalchemy"]
    sqlalchemy.session.remove()
    for engine in sqlalchemy.engines.values():
        shared_engine.close(engine)
    current_app.extensions["jobs"].publisher.close()
