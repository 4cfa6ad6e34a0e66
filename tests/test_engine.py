"""How the app connects: how often at once, and by what protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from app import create_app
from app.config import ConfigError
from app.db import db
from tests.support.apps import settings


@contextmanager
def app_with(database_url: str, **given: object) -> Iterator[None]:
    app = create_app({**settings(database_url), **given})
    with app.app_context():
        yield
        db.engine.dispose()


def test_a_process_opens_as_many_connections_as_it_may_and_no_more(database_url: str) -> None:
    with app_with(database_url, DATABASE_POOL_SIZE=3):
        pool: Any = db.engine.pool

        assert (pool.size(), pool._max_overflow) == (3, 0)


@pytest.mark.parametrize(("allowed", "prepared"), [(True, 1), (False, 0)])
def test_statements_are_prepared_unless_a_pooler_stands_between(
    database_url: str, *, allowed: bool, prepared: int
) -> None:
    with (
        app_with(database_url, DATABASE_PREPARED_STATEMENTS=allowed),
        db.engine.connect() as connection,
    ):
        for _ in range(10):
            connection.execute(text("SELECT CAST(:one AS int)"), {"one": 1})

        driver: Any = connection.connection.driver_connection
        names = driver.execute("SELECT name FROM pg_prepared_statements", prepare=False)
        assert len(names.fetchall()) == prepared


def test_without_an_address_the_first_connection_starts_the_embedded_database(
    database_url: str,
) -> None:
    started: list[str] = []

    def embedded() -> str:
        started.append(database_url)
        return database_url

    app = create_app(settings(""), embedded=embedded)
    with app.app_context():
        assert started == []
        with db.engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        assert started
        db.engine.dispose()


def test_where_nothing_is_embedded_the_missing_address_is_named() -> None:
    with (
        create_app(settings("")).app_context(),
        pytest.raises(ConfigError, match="DATABASE_URL: is empty"),
    ):
        db.engine.connect()
