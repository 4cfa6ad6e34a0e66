"""The migrations that the extension ships: in a host's database, and in one that has the tables."""

import re
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import MetaData, text

from app.db import db
from app.jobs import migrations
from app.jobs.errors import MigrationRefused
from tests.starter.table import ROWS, TABLE

pytestmark = pytest.mark.usefixtures("empty_app")

OURS = f"({', '.join(map(repr, sorted(migrations.metadata.tables)))})"
CATALOG = f"""
    SELECT 'column', relname, attname, format_type(atttypid, atttypmod) || ' ' || attnotnull,
           pg_get_expr(adbin, adrelid)
      FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE relname IN {OURS} AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'index', relname, indexrelid::regclass::text, pg_get_indexdef(indexrelid),
           indisvalid::text
      FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relname IN {OURS}
    UNION ALL
    SELECT 'constraint', relname, conname, pg_get_constraintdef(pg_constraint.oid),
           convalidated::text
      FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE relname IN {OURS}
    UNION ALL
    SELECT 'table', relname, '', coalesce(reloptions::text, ''), relkind::text
      FROM pg_class WHERE relname IN {OURS}
    UNION ALL
    SELECT 'trigger', relname, tgname, pg_get_triggerdef(pg_trigger.oid), tgenabled::text
      FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
     WHERE relname IN {OURS} AND NOT tgisinternal
    UNION ALL
    SELECT 'function', 'job_executions', oid::regprocedure::text, prosrc, ''
      FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""  # noqa: S608 - our own names
JOB = "INSERT INTO job_executions (job_id, job_type, payload) VALUES ('1', 'a', '{}')"
#: PostgreSQL writes a check anew where a column's type has changed: the same one with other casts.
CASTS = re.compile(r"::[a-z ]+(\[\])?|[()]")


def run(statements: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(statements)


def catalog() -> set[tuple[Any, ...]]:
    """Return all that PostgreSQL knows of the tables of jobs, and empty the database."""
    with db.engine.begin() as connection:
        found = {
            (*about, CASTS.sub("", definition), more)
            for *about, definition, more in connection.execute(text(CATALOG))
        }
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return found


def upgrade(revision: str = migrations.HEAD) -> None:
    with db.engine.begin() as connection:
        migrations.upgrade(connection, revision)


def prepare() -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        migrations.prepare(connection)


def test_all_ways_lead_to_the_same_tables() -> None:
    """This app's history, the extension's in an empty database, its SQL, the starter's table."""
    flask_migrate.upgrade("migrations")
    expected = catalog()
    assert {row[1] for row in expected} == set(migrations.metadata.tables)

    upgrade()
    upgrade()
    assert catalog() == expected

    run(migrations.sql().replace("%", "%%"))
    with db.engine.connect() as connection:
        assert migrations.current(connection) == migrations.HEAD
    assert catalog() == expected

    run((TABLE + ROWS).replace("%", "%%"))
    upgrade()
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM job_executions"))
    assert catalog() == expected


def test_an_upgrade_builds_its_indexes_before_and_can_be_taken_back(empty_app: Flask) -> None:
    """While a transaction goes on that has written; also where an earlier run was broken off."""
    upgrade("0001")
    before = catalog()
    upgrade()
    expected = catalog()

    upgrade("0001")
    run(
        "CREATE INDEX idx_job_executions_status_new ON job_executions (id);"
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'idx_job_executions_status_new'::regclass"
    )
    prepare()
    with db.engine.connect() as other, db.engine.connect() as connection:
        other.exec_driver_sql(JOB)
        connection.exec_driver_sql("SET lock_timeout = '1s'")
        migrations.upgrade(connection, "0005")
        connection.commit()
        other.rollback()
        migrations.upgrade(connection)
        connection.commit()
        migrations.downgrade(connection, "0001")
        migrations.upgrade(connection)
        connection.commit()
    prepare()
    assert catalog() == expected

    upgrade("0001")
    statements = FlaskCliRunner(empty_app).invoke(args=["jobs", "db", "sql", "--since", "0001"])
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements.output.split(";\n\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        migrations.downgrade(connection, "0001")
    assert catalog() == before


def test_tables_that_an_app_s_own_history_made_are_not_locked() -> None:
    flask_migrate.upgrade("migrations", revision="0013")

    with db.engine.connect() as other:
        other.exec_driver_sql(JOB)
        flask_migrate.upgrade("migrations", revision="0014")
        assert migrations.current(other) == "0001"
        other.rollback()


def test_the_tables_are_what_the_models_say() -> None:
    upgrade()

    options = {"include_object": lambda _, name, *__: name != migrations.VERSION_TABLE}
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, migrations.metadata) == []


def test_a_host_does_not_see_them_among_its_own() -> None:
    upgrade()

    def found(**options: Any) -> str:
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            return str(compare_metadata(context, MetaData()))

    assert "'job_executions'" in found()
    assert found(include_object=migrations.include_object) == "[]"


def test_a_hosts_migration_goes_on_after_it_has_called_them() -> None:
    with db.engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context) as op:
            migrations.upgrade(op.get_bind(), "0001")
            op.execute("CREATE TABLE hosts_own (id int)")

    with db.engine.connect() as connection:
        assert migrations.current(connection) == "0001"
        assert connection.scalar(text("SELECT count(*) FROM hosts_own")) == 0


def test_nothing_is_left_of_an_upgrade_that_is_not_committed() -> None:
    with db.engine.connect() as connection:
        migrations.upgrade(connection)
        connection.rollback()

    assert catalog() == set()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("CREATE TABLE deleted_jobs (id int)", "there is a table deleted_jobs already"),
        ("CREATE TABLE job_executions (id int)", "job_executions has no column job_id"),
        (
            "CREATE TABLE job_executions (id int, lease_token uuid)",
            "job_executions is of an older version",
        ),
    ],
)
def test_what_is_in_the_way_is_said_and_nothing_changed(there: str, said: str) -> None:
    run(there)

    with db.engine.begin() as connection:
        with pytest.raises(MigrationRefused, match=said):
            migrations.upgrade(connection)
        assert migrations.current(connection) is None


def test_ids_of_owners_become_what_the_setting_says(empty_app: Flask) -> None:
    upgrade()
    empty_app.config["JOBS_ID_TYPE"] = "uuid"
    assert "user_id UUID" in migrations.sql()
    upgrade()

    assert ("column", "job_executions", "user_id", "uuid false", None) in catalog()


def test_the_command_upgrades_says_where_it_is_and_prints_the_sql(
    empty_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def jobs_db(*args: str) -> str:
        return FlaskCliRunner(empty_app).invoke(args=["jobs", "db", *args]).output

    # This app's history makes the tables itself, and could not go on from those of another.
    said = "this app's own migrations make the job tables: run `flask db upgrade`"
    assert said in jobs_db("upgrade")
    assert jobs_db("current") == "There are no job tables: run `flask db upgrade`\n"
    monkeypatch.chdir(tmp_path)  # where there is no such history
    assert jobs_db("current") == "There are no job tables: run `flask jobs db upgrade`\n"
    assert jobs_db("upgrade") == f"The job tables are at {migrations.HEAD}.\n"
    assert jobs_db("current") == f"{migrations.HEAD}, the newest\n"
    assert "CREATE TABLE IF NOT EXISTS job_executions" in jobs_db("sql")
    assert f'"head": "{migrations.HEAD}"' in jobs_db("current", "--json")
