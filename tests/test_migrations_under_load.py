"""The migrations of a table in use: jobs go on while they run, and a broken-off run is repeated."""

import threading
from typing import Any
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from tests.support.apps import connected

INSERT = "INSERT INTO job_executions (job_id, job_type, payload) VALUES (%s, 'sample', '{}')"


def test_jobs_are_recorded_while_indexes_are_built(empty_app: Flask) -> None:
    """An open transaction has the index wait, but neither it nor others have to wait for that."""
    flask_migrate.upgrade("migrations", revision="0007")
    with connected() as open_one, connected() as other:
        other.autocommit = True
        other.execute("SET lock_timeout = '1s'")
        insert(open_one)
        thread = threading.Thread(target=upgrade, args=[empty_app])
        thread.start()
        while not other.execute(BUILDING).fetchone():
            assert thread.is_alive()
        insert(open_one)
        insert(other)
        open_one.commit()
        thread.join()
    assert count() == 3
    assert invalid_indexes() == []


def test_an_upgrade_that_was_broken_off_is_repeated(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations", revision="0007")
    with connected() as connection:
        connection.autocommit = True
        # As if the process had died between two steps, and in the middle of a third.
        connection.execute("DROP INDEX idx_job_executions_user_id")
        connection.execute(
            "CREATE INDEX idx_job_executions_created_at_new ON job_executions (created_at DESC)"
        )
        connection.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'idx_job_executions_created_at_new'::regclass"
        )
    flask_migrate.upgrade("migrations")

    assert invalid_indexes() == []
    assert "created_at DESC, id DESC" in definition("idx_job_executions_created_at")
    assert "user_id, created_at DESC" in definition("idx_job_executions_user_id")


def test_a_table_in_use_ends_a_migration_rather_than_the_service(
    empty_app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    flask_migrate.upgrade("migrations", revision="0005")
    with connected() as long_one:
        insert(long_one)
        with pytest.raises(SystemExit, match="run `flask db upgrade` again"):
            flask_migrate.upgrade("migrations", revision="0006")
        long_one.commit()
    flask_migrate.upgrade("migrations", revision="0006")


BUILDING = """
    SELECT pid FROM pg_stat_progress_create_index
     WHERE relid = 'job_executions'::regclass AND phase LIKE 'waiting%'
"""


def upgrade(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade("migrations")
        db.session.remove()


def insert(connection: psycopg.Connection[Any]) -> None:
    connection.execute(INSERT, [uuid4()])


def count() -> int:
    with db.engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM job_executions")).scalar_one()


def invalid_indexes() -> list[str]:
    query = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    with db.engine.connect() as connection:
        return list(connection.execute(query).scalars())


def definition(index: str) -> str:
    query = text("SELECT indexdef FROM pg_indexes WHERE indexname = :index")
    with db.engine.connect() as connection:
        return str(connection.execute(query, {"index": index}).scalar_one())


def test_fault_D14_R3_rows_beyond_the_calendar_are_mended(empty_app: Flask) -> None:
    """Also where the first run was broken off before it was noted as done."""
    flask_migrate.upgrade("migrations", revision="0010")
    moments = ["20000-01-01", "0050-01-01 BC", "infinity", "-infinity", "2026-11-28"]
    for _ in range(2):
        with connected() as connection:
            connection.execute("ALTER TABLE job_executions DROP CONSTRAINT IF EXISTS " + CALENDAR)
            for moment in moments:
                connection.execute(INSERT_DUE, [uuid4(), moment])
        flask_migrate.stamp("migrations", revision="0010")
        flask_migrate.upgrade("migrations", revision="0011")

    found = text(
        "SELECT available_at::date::text, count(*) FROM job_executions GROUP BY 1 ORDER BY 1"
    )
    with db.engine.connect() as connection:
        days = dict(map(tuple, connection.execute(found)))
        valid = connection.scalar(
            text("SELECT convalidated FROM pg_constraint WHERE conname = :name"),
            {"name": CALENDAR},
        )
    assert (days, valid) == ({"1970-01-01": 4, "2026-11-28": 2, "8999-12-31": 4}, True)


CALENDAR = "ck_job_executions_available_at"
INSERT_DUE = """
    INSERT INTO job_executions (job_id, job_type, payload, available_at)
    VALUES (%s, 'sample', '{}', %s)
"""
