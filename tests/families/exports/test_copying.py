"""COPY on a connection of its own, whatever the database's own settings are."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import func, select, text

from app.accounts.models import User
from app.db import db
from app.families.exports import copying
from tests.families.exports.exporting import MOMENT, Export
from tests.support.waiting import wait_until


@pytest.fixture
def source(app: Flask) -> Iterator[Any]:
    with copying.reader(db.session.connection()) as connection:
        yield connection


@pytest.fixture
def in_tokyo(app: Flask) -> Iterator[None]:
    """A database whose sessions write times in another zone."""
    name = db.engine.url.database
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET timezone = "Asia/Tokyo"')
        yield
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET timezone')


def test_times_are_in_utc_wherever_the_database_is(in_tokyo: None, export: Export) -> None:
    db.session.add(User(email="a@example.com", name="A", created_at=MOMENT))
    db.session.commit()

    csv = export("users", "csv", columns=["createdAt"])
    assert csv == b"createdAt\r\n2026-01-31 23:59:59.123456+00\r\n"
    found = json.loads(export("users", "jsonl", columns=["createdAt"]))
    assert found == {"createdAt": MOMENT.isoformat()}


def test_rows_come_in_blocks_of_bounded_size(source: Any) -> None:
    blocks: list[list[bytes]] = []
    numbers = select(func.repeat("x", 999)).select_from(func.generate_series(1, 2000))

    copying.copy(source, numbers, blocks.append, options="FORMAT csv", timeout=30)

    assert sum(map(len, blocks)) == 2000
    assert {len(block) for block in blocks[:-1]} == {-(-copying.BLOCK // 1000)}


def test_the_time_that_is_left_is_postgresqls_too(source: Any) -> None:
    with pytest.raises(psycopg2.errors.QueryCanceled, match="statement timeout"):
        copying.copy(source, select(func.pg_sleep(60)), print, options="FORMAT csv", timeout=0.1)


def test_rows_that_nobody_reads_on_are_not_sent_for_ever(app: Flask) -> None:
    endless = select(func.generate_series(1, 10**12).label("endless"))

    def give_up(_: object) -> None:
        assert copies() == 1
        raise InterruptedError

    with (
        pytest.raises(InterruptedError),
        copying.reader(db.session.connection()) as source,
    ):
        copying.copy(source, endless, give_up, options="FORMAT csv", timeout=60)

    wait_until(lambda: not copies(), "the server's noticing")


def copies() -> int:
    """Look in a transaction of its own: what one has seen of the others' activity, it keeps."""
    running = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY % AS endless%'")
    with db.engine.connect() as connection:
        return int(connection.scalar(running) or 0)
