"""`flask db upgrade` over the database of the TypeScript starter: its table becomes ours."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from app.jobs.operate import actions
from app.jobs.table import job_rows
from app.jobs.table.adoption import COLUMNS
from app.jobs.table.filters import Filter
from tests.starter.table import ROWS, TABLE
from tests.support.apps import connected
from tests.support.tables import differences

NAIVE = "timestamp without time zone"
AWARE = "timestamp with time zone"
#: What each column of the starter's is before and after.
TYPES = {
    "id": ("integer", "bigint"),
    "job_id": ("character varying(255)", "character varying(255)"),
    "job_type": ("character varying(100)", "character varying(100)"),
    "status": ("character varying(50)", "character varying(50)"),
    "payload": ("jsonb", "jsonb"),
    "result": ("jsonb", "jsonb"),
    "error": ("text", "text"),
    "retry_count": ("integer", "integer"),
    "user_id": ("integer", "bigint"),
    "organization_id": ("integer", "bigint"),
    "started_at": (NAIVE, AWARE),
    "completed_at": (NAIVE, AWARE),
    "created_at": (NAIVE, AWARE),
    "updated_at": (NAIVE, AWARE),
}


@pytest.fixture
def starter(empty_app: Flask) -> Iterator[Flask]:
    """An app on the starter's database, with rows."""
    run(TABLE + ROWS)
    yield empty_app
    db.session.remove()


def run(statements: str) -> None:
    with connected() as connection:
        connection.execute(statements.encode())


def rows() -> list[dict[str, Any]]:
    with connected() as connection:
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute("SELECT * FROM job_executions ORDER BY id").fetchall()


def types() -> dict[str, str]:
    query = text(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'job_executions'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    with db.engine.connect() as connection:
        return dict(map(tuple, connection.execute(query)))


def snapshot() -> dict[str, Any]:
    """Return whatever an upgrade could change."""
    query = text(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'job_executions'::regclass"
        " UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'job_executions'::regclass"
        " UNION ALL SELECT 'table', relname FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    with db.engine.connect() as connection:
        named = [tuple(row) for row in connection.execute(query)]
    return {"rows": rows(), "types": types(), "named": named}


def test_the_table_is_adopted_column_by_column_with_its_rows(starter: Flask) -> None:
    before = rows()
    assert types() == {name: kinds[0] for name, kinds in TYPES.items()}
    assert TYPES.keys() == COLUMNS.keys()

    flask_migrate.upgrade("migrations")

    found, after = types(), rows()
    assert {name: found[name] for name in TYPES} == {
        name: kinds[1] for name, kinds in TYPES.items()
    }
    for old, new in zip(before, after, strict=True):
        for name, value in old.items():
            if isinstance(value, datetime):
                assert new[name] == value.replace(tzinfo=UTC), name
            else:
                assert new[name] == value, name
    assert differences() == []


def test_what_is_adopted_goes_on(starter: Flask) -> None:
    flask_migrate.upgrade("migrations")

    made = {"job_id": str(uuid4()), "job_type": "sample", "payload": {"payload": {}}}
    with db.engine.begin() as connection:
        job_rows.create_job_execution(connection, made)
        connection.execute(
            text(
                "INSERT INTO job_executions (job_id, job_type, status, payload)"
                " VALUES ('from the starter', 'send-email', 'pending', '{}')"
            )
        )
    last = rows()[-1]
    assert last["id"] == 7  # the sequence goes on, also beyond 2**31
    assert last["options"] == {}
    run("SELECT setval('job_executions_id_seq', 3000000000)")
    with db.engine.begin() as connection:
        job_rows.create_job_execution(connection, made | {"job_id": "large"})
    assert rows()[-1]["id"] == 3_000_000_001


def test_what_failed_long_ago_is_dead_and_can_be_deleted(starter: Flask) -> None:
    flask_migrate.upgrade("migrations")

    dead = {row["job_id"]: row["dead_at"] for row in rows()}
    assert dead == dict.fromkeys(dead) | {"job_01J9Z": datetime(2025, 1, 1, tzinfo=UTC)}
    assert actions.delete(Filter(job_ids=("job_01J9Z", "now-failed")), by="test").count == 1
    assert job_rows.get_job_execution_by_job_id("job_01J9Z") is None


def test_an_adopted_database_is_upgraded_again_without_a_change(starter: Flask) -> None:
    flask_migrate.upgrade("migrations")
    before = snapshot()

    flask_migrate.upgrade("migrations")

    assert snapshot() == before


def test_other_types_that_lose_nothing_are_taken(empty_app: Flask) -> None:
    run(TABLE)
    run(
        """
        CREATE TYPE job_status AS ENUM ('pending', 'failed');
        ALTER TABLE job_executions
          ALTER status TYPE job_status USING 'pending', ALTER status SET DEFAULT 'pending',
          ALTER payload TYPE json, ALTER job_type TYPE text, ALTER retry_count TYPE smallint,
          ALTER created_at TYPE timestamptz, ALTER started_at TYPE timestamp(3),
          ALTER user_id TYPE text, DROP error, DROP updated_at,
          ADD note text DEFAULT 'theirs' NOT NULL;
        INSERT INTO job_executions (job_id, job_type, payload, user_id)
        VALUES ('one', 'sample', '{"payload": {}}', '7')
        """
    )
    flask_migrate.upgrade("migrations")

    assert [rows()[0][name] for name in ("status", "user_id", "error", "note")] == [
        "pending", 7, None, "theirs",
    ]  # fmt: skip
    [kept] = differences()
    assert "note" in str(kept)


#: What is said of a database, by what somebody has done to it.
BAD = {
    "status that is none of": "UPDATE job_executions SET status = 'queued' WHERE id = 5",
    "not a JSON object": "UPDATE job_executions SET payload = '\"{}\"' WHERE id = 5",
    "started_at is text": "ALTER TABLE job_executions ALTER started_at TYPE text",
    "no column payload": "ALTER TABLE job_executions DROP payload",
    "already has a column attempts": "ALTER TABLE job_executions ADD attempts integer",
    "already has a column checkpoint": "ALTER TABLE job_executions ADD checkpoint text",
    "job_executions.tenant is not known to this app": """
        ALTER TABLE job_executions ADD tenant text;
        UPDATE job_executions SET tenant = 'a';
        ALTER TABLE job_executions ALTER tenant SET NOT NULL""",
    "job_id 'same' more than once": """
        ALTER TABLE job_executions DROP CONSTRAINT job_executions_job_id_unique;
        UPDATE job_executions SET job_id = 'same' WHERE status = 'failed'""",
    "5 rows (the first with id 1) with a job_type of more than 100 characters": """
        ALTER TABLE job_executions ALTER job_type TYPE text;
        UPDATE job_executions SET job_type = repeat('x', 101)""",
    "with a created_at that is null": """
        ALTER TABLE job_executions ALTER created_at DROP NOT NULL;
        UPDATE job_executions SET created_at = NULL WHERE id = 5""",
    "constraint its_team": """
        CREATE TABLE team (id integer PRIMARY KEY);
        INSERT INTO team VALUES (2), (2147483647), (0);
        ALTER TABLE job_executions
          ADD CONSTRAINT its_team FOREIGN KEY (organization_id) REFERENCES team (id)""",
    "column took of table job_executions goes by columns": """
        ALTER TABLE job_executions
          ADD took interval GENERATED ALWAYS AS (completed_at - started_at) STORED""",
    "trigger touched on table job_executions goes by columns": """
        CREATE TRIGGER touched BEFORE UPDATE OF status ON job_executions
          FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
    "policy own on table job_executions goes by columns": (
        "CREATE POLICY own ON job_executions USING (user_id = 1)"
    ),
    "payload has JSON that jsonb does not take": """
        ALTER TABLE job_executions ALTER payload TYPE json;
        UPDATE job_executions SET payload = json_build_object('a', chr(92) || 'u0000');
        UPDATE job_executions
           SET payload = replace(payload::text, repeat(chr(92), 2), chr(92))::json""",
    "the view late": "CREATE VIEW late AS SELECT created_at FROM job_executions",
    "no primary key (id)": "ALTER TABLE job_executions DROP CONSTRAINT job_executions_pkey",
    "user_id has 5 ids that are not a whole number, such as 'user_2abc': set JOBS_ID_TYPE": (
        "ALTER TABLE job_executions ALTER user_id TYPE text USING 'user_2abc'"
    ),
    "there is a table activity_logs already": "CREATE TABLE activity_logs (id integer)",
}


@pytest.mark.parametrize("said", BAD)
def test_what_cannot_be_adopted_is_said_before_anything_is_changed(
    starter: Flask, said: str
) -> None:
    run(BAD[said])
    before = snapshot()

    with pytest.raises(SystemExit) as stopped:
        flask_migrate.upgrade("migrations")

    assert said in str(stopped.value)
    assert len(str(stopped.value).splitlines()) == 2
    assert snapshot() == before


def test_a_moment_that_python_cannot_have_is_said_before_anything_is_changed(
    starter: Flask,
) -> None:
    run("UPDATE job_executions SET completed_at = 'infinity' WHERE id = 1")
    before = types()

    with pytest.raises(SystemExit, match="completed_at outside of the years 1 to 9999"):
        flask_migrate.upgrade("migrations")

    assert types() == before


def test_tables_of_the_same_names_are_no_hindrance_in_a_schema_of_their_own(starter: Flask) -> None:
    database = str(db.engine.url.database)
    run("CREATE TABLE users (id text); CREATE SCHEMA jobs")
    run(f'ALTER DATABASE "{database}" SET search_path = jobs, public')
    db.engine.dispose()

    flask_migrate.upgrade("migrations")

    schemas = text("SELECT table_schema FROM information_schema.tables WHERE table_name = :name")
    with db.engine.connect() as connection:
        found = {
            name: set(connection.execute(schemas, {"name": name}).scalars())
            for name in ("users", "job_executions")
        }
    assert found == {"users": {"jobs", "public"}, "job_executions": {"public"}}
    assert types()["created_at"] == AWARE
