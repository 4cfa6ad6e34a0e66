"""JOBS_SCHEMA: the tables of jobs in a schema of their own, in the database of a host's tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields
from sqlalchemy import text

from app.jobs import (
    DatabaseUnavailable,
    Job,
    JobBlueprint,
    Jobs,
    PayloadSchema,
    enqueue,
    migrations,
)
from app.jobs.errors import JobsNotInitialised, MigrationRefused
from tests.starter.table import ROWS, TABLE
from tests.support.apps import fresh_database
from tests.support.pooler import Pooler

OURS = {*migrations.metadata.tables, migrations.VERSION_TABLE}
#: Its letters are those that must be quoted.
SCHEMA = 'Jobs "of": 100%'
bp = JobBlueprint("mail", __name__)


@dataclass(frozen=True)
class Greet:
    by: str


class GreetSchema(PayloadSchema[Greet]):
    model = Greet
    by = fields.String(load_default="")


@bp.job("greet", "/greet", payload=GreetSchema)
def greet(payload: Greet, job: Job) -> None:
    """Do nothing."""


@pytest.fixture
def url(database_server: str, tmp_path: Any) -> Iterator[str]:
    with fresh_database(database_server, f"schema_{tmp_path.name}") as url:
        yield url


@contextmanager
def host(url: str, schema: str, **config: Any) -> Iterator[SQLAlchemy]:
    """Yield the database handle of an app that somebody has, in the app's context."""
    app, db = Flask("host"), SQLAlchemy()
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SECRET_KEY="x" * 40,
        BASE_URL="https://host.example.com",
        QSTASH_URL="http://127.0.0.1:9",  # the discard port: refused at once
        QSTASH_TOKEN="token",
        QSTASH_CURRENT_SIGNING_KEY="sig_1",
        QSTASH_NEXT_SIGNING_KEY="sig_2",
        JOBS_SCHEMA=schema,
        **config,
    )
    db.init_app(app)
    try:
        with app.app_context():
            db.session.execute(text("SELECT 1"))  # a connection from before there were jobs
        Jobs(app, db)
        app.register_blueprint(bp)
        with app.app_context():
            yield db
    finally:
        with app.app_context():
            db.engine.dispose()


def run(db: SQLAlchemy, *statements: str) -> None:
    with db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def upgrade(db: SQLAlchemy, revision: str = migrations.HEAD) -> None:
    with db.engine.begin() as connection:
        migrations.upgrade(connection, revision)


def tables(db: SQLAlchemy) -> dict[str, set[str]]:
    """Return the tables by schema."""
    found: dict[str, set[str]] = {}
    query = """
        SELECT table_schema, table_name FROM information_schema.tables
         WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
    """
    with db.engine.connect() as connection:
        for schema, table in connection.execute(text(query)):
            found.setdefault(schema, set()).add(table)
    return found


def command(db: SQLAlchemy, *args: str) -> str:
    return current_app.test_cli_runner().invoke(args=["jobs", *args]).output


def test_two_apps_share_a_database(url: str) -> None:
    for schema in ("first", "second"):
        with host(url, schema) as db:
            assert command(db, "db", "upgrade") == f"The job tables are at {migrations.HEAD}.\n"
            assert command(db, "db", "current") == f"{migrations.HEAD}, the newest\n"
            enqueue("greet", {"by": schema})
            assert f"the schema {schema}" in command(db, "doctor", "--only", "schema")
    with host(url, "first") as db:
        assert tables(db) == {"first": OURS, "second": OURS}
        for schema in ("first", "second"):
            by = f"SELECT payload->'payload'->>'by' FROM {schema}.job_executions"  # noqa: S608
            assert db.session.scalars(text(by)).all() == [schema]


def test_a_job_is_enqueued_in_the_transaction_of_the_host_s_own_rows(url: str) -> None:
    with host(url, SCHEMA) as db:
        run(db, "CREATE TABLE users (name text)")
        upgrade(db)
        for end in (db.session.rollback, db.session.commit):
            db.session.execute(text("INSERT INTO users VALUES ('Ada')"))
            enqueue("greet", {}, session=db.session)
            end()

        assert tables(db) == {"public": {"users"}, SCHEMA: OURS}
        for table in ("users", "job_executions"):
            assert db.session.scalar(text(f"SELECT count(*) FROM {table}")) == 1  # noqa: S608


def test_the_app_s_own_names_go_on_meaning_what_they_meant(url: str) -> None:
    with host(url, "jobs") as db:
        run(db, "CREATE SCHEMA jobs", "CREATE TABLE jobs.users ()", "CREATE TABLE users (id int)")
        upgrade(db)

        path = "SELECT current_schema(), current_setting('search_path')"
        assert db.session.execute(text(path)).one() == ("public", '"$user", public, jobs')
        assert db.session.execute(text("SELECT id FROM users")).all() == []
        # After a handler, what it has set is undone.
        with db.engine.connect() as connection:
            connection.info["jobs_used_by_a_handler"] = True
            connection.execute(text("SET search_path TO nowhere"))
            connection.commit()
        assert db.session.execute(text(path)).one() == ("public", '"$user", public, jobs')


def test_a_schema_that_the_path_has_already_keeps_its_place(url: str) -> None:
    options = {"connect_args": {"options": "-csearch_path=jobs,public"}}
    with host(url, "jobs", SQLALCHEMY_ENGINE_OPTIONS=options) as db:
        upgrade(db)
        db.engine.dispose()

        path = db.session.scalar(text("SELECT current_setting('search_path')"))
        assert path == "jobs,public"
        assert tables(db) == {"jobs": OURS}


def test_a_migration_of_the_host_s_goes_on_in_its_own_schema(url: str) -> None:
    with host(url, "jobs") as db:
        with db.engine.begin() as connection:
            migrations.upgrade(connection, migrations.HEAD)
            connection.exec_driver_sql("CREATE TABLE own ()")
        assert tables(db) == {"jobs": OURS, "public": {"own"}}

        # It names the same revision when the tables are further.
        run(db, "UPDATE jobs.jobs_alembic_version SET version_num = '9999'")
        upgrade(db, "0001")


def test_its_sql_makes_the_same(url: str) -> None:
    with host(url, SCHEMA) as db:
        run(db, migrations.sql() + "CREATE TABLE own ();")

        assert tables(db) == {SCHEMA: OURS, "public": {"own"}}
        upgrade(db)


def test_the_starter_s_table_is_adopted_where_it_is_in_that_schema(url: str) -> None:
    with host(url, "jobs") as db:
        run(db, TABLE + ROWS)
        with pytest.raises(
            MigrationRefused, match=r"public\.job_executions would be found"
        ) as found:
            upgrade(db)
        assert "ALTER TABLE public.job_executions SET SCHEMA" in str(found.value)
        assert tables(db).keys() == {"public"}

        run(db, "CREATE SCHEMA jobs", 'ALTER TABLE job_executions SET SCHEMA "jobs"')
        upgrade(db)
        assert tables(db)["jobs"] == OURS
        assert db.session.scalar(text("SELECT count(*) FROM jobs.job_executions"))


def test_what_hides_a_table_later_is_named_by_the_doctor(url: str) -> None:
    with host(url, "jobs") as db:
        upgrade(db)
        run(db, "CREATE TABLE job_audit (id int)")

        said = command(db, "doctor", "--only", "schema")
        assert "public.job_audit would be used, though the tables of jobs are in jobs" in said
        assert "rename what is the app's own" in said


def test_the_doctor_warns_of_a_pooler_unless_the_role_has_the_path(url: str) -> None:
    with Pooler(url) as pooler, host(pooler.url, "jobs") as db:
        upgrade(db)
        said = command(db, "doctor", "--only", "schema")
        assert "a pooler such as PgBouncer is between" in said
        assert "run ALTER ROLE" in said

        run(db, f'ALTER DATABASE "{db.engine.url.database}" SET search_path TO public, jobs')
        db.engine.dispose()
        assert "pooler" not in command(db, "doctor", "--only", "schema")


def test_a_role_without_the_right_is_told_which(url: str) -> None:
    with host(url, "jobs") as db:
        run(db, "DROP ROLE IF EXISTS nobody_much", "CREATE ROLE nobody_much")
        with db.engine.connect() as connection:
            for there, said in (
                ("SELECT 1", "this role may not create one"),
                ("CREATE SCHEMA jobs", "GRANT USAGE, CREATE ON SCHEMA"),
            ):
                connection.exec_driver_sql(there)
                connection.exec_driver_sql("SET LOCAL ROLE nobody_much")
                with pytest.raises(MigrationRefused, match=said):
                    migrations.upgrade(connection)
                connection.rollback()
        run(db, "DROP ROLE nobody_much")


def test_a_schema_that_is_missing_is_no_outage_of_its_own(url: str) -> None:
    with host(url, "jobs") as db:
        with pytest.raises(DatabaseUnavailable, match="run `flask jobs db upgrade`"):
            enqueue("greet", {})
        assert "There are no job tables" in command(db, "db", "current")


@pytest.mark.parametrize("name", ["pg_jobs", "ä" * 32, "a\0b", 7])
def test_what_cannot_be_a_schema_stops_the_start(url: str, name: Any) -> None:
    with pytest.raises(JobsNotInitialised, match=r"JOBS_SCHEMA(:| is)"), host(url, name):
        pass
