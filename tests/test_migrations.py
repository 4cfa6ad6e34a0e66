"""The migrations make what the models say, and unmake it."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import inspect, text

from app import create_app
from app.db import db
from app.extensions import jobs
from app.jobs import DatabaseUnavailable, Unique, enqueue, enqueue_many, migrations
from app.jobs.table import job_rows
from tests.support.apps import close_connections, fresh_database, settings
from tests.support.project import copy_project
from tests.support.sample_jobs import Sample, bp, sample
from tests.support.tables import differences


def test_the_migrations_make_what_the_models_say(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations")

    assert differences() == []


def test_every_migration_can_be_taken_back(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations")
    flask_migrate.downgrade("migrations", revision="base")

    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    flask_migrate.upgrade("migrations")


def test_with_a_schema_the_history_moves_the_tables_of_jobs_there(
    database_server: str, tmp_path: Path
) -> None:
    with fresh_database(database_server, f"moved_{tmp_path.name}") as url:
        app = create_app(settings(url) | {"JOBS_SCHEMA": "own jobs"}, instance=tmp_path)
        with app.app_context():
            flask_migrate.upgrade("migrations")

            made = inspect(db.engine).get_table_names
            assert set(made("own jobs")) == {*migrations.metadata.tables, migrations.VERSION_TABLE}
            assert not set(made("own jobs")) & set(made("public"))
            flask_migrate.downgrade("migrations", revision="base")
            flask_migrate.upgrade("migrations")
            close_connections()


def test_a_table_that_somebody_fills_is_not_dropped(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations", revision="0014")
    with db.engine.begin() as connection:
        connection.execute(text("INSERT INTO organizations (id, name) VALUES (1, 'Acme')"))
        connection.execute(
            text(
                "INSERT INTO invitations (organization_id, email, token_sha256, expires_at)"
                " VALUES (1, 'ada@example.com', 'x', now())"
            )
        )
    flask_migrate.upgrade("migrations", revision="0015")

    assert inspect(db.engine).has_table("invitations")
    flask_migrate.downgrade("migrations", revision="0014")
    flask_migrate.upgrade("migrations")


def test_a_database_that_is_not_migrated_says_so(empty_app: Flask) -> None:
    result = empty_app.test_cli_runner().invoke(args=["jobs", "list"])

    assert result.exit_code == 2
    assert "run `flask db upgrade`" in result.stderr


@pytest.mark.parametrize("whose", ["its own", "the caller's"])
def test_enqueueing_in_a_database_that_is_not_migrated_says_so(
    empty_app: Flask, whose: str
) -> None:
    empty_app.register_blueprint(bp)
    session = None if whose == "its own" else db.session

    def batch() -> None:
        with jobs.batch("first", session=session) as made:
            made.enqueue(sample.s(Sample("none")))

    for enqueueing in (
        lambda: enqueue("sample", {"action": "none"}, session=session),
        lambda: enqueue_many("sample", [{"action": "none"}], session=session),
        lambda: enqueue_many("sample", [{"action": "none"}], session=session, unique=Unique()),
        batch,
    ):
        with pytest.raises(DatabaseUnavailable, match="run `flask db upgrade`"):
            enqueueing()
        db.session.rollback()


def test_fault_A22_where_nothing_changed_no_migration_is_written(
    empty_app: Flask, tmp_path: Path
) -> None:
    copy_project(tmp_path / "project")
    url = empty_app.config["SQLALCHEMY_DATABASE_URI"]
    env = {**os.environ, "DATABASE_URL": url, "POSTGRES_URL": url}

    def db(command: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "flask", "db", command],
            cwd=tmp_path / "project",
            env={**env, "PYTHONPATH": str(tmp_path / "project")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def migrations() -> int:
        return len(list((tmp_path / "project/migrations/versions").glob("*.py")))

    db("upgrade")
    before = migrations()

    assert "No migration was written" in db("migrate")
    assert migrations() == before
    db("revision")
    assert migrations() == before + 1


WITH_UUIDS = (
    "INSERT INTO job_executions (job_id, job_type, payload) VALUES (:id, 'sample', '{}')",
    """
    INSERT INTO artifacts (job_id, id, name, key, media_type, size, sha256, expires_at)
    VALUES (:id, :id, 'a', 'b', 'c/d', 1, 'e', now())
    """,
    """
    INSERT INTO webhook_events (job_id, source, event, delivery_id, verified, body)
    VALUES (:id, 'a', 'b', 'c', true, '')
    """,
)


def test_a_table_with_uuids_takes_ids_of_any_form_and_keeps_its_rows(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations", revision="0010")
    given = {"id": str(uuid4())}
    with db.engine.begin() as connection:
        for statement in WITH_UUIDS:
            connection.execute(text(statement), given)
    flask_migrate.upgrade("migrations")

    joined = text(
        "SELECT job.job_id FROM job_executions AS job"
        " JOIN artifacts USING (job_id) JOIN webhook_events USING (job_id)"
    )
    with db.engine.begin() as connection:
        assert connection.execute(joined).scalars().all() == [given["id"]]
        other = {"job_id": "order:7", "job_type": "sample", "payload": {}}
        job_rows.create_job_execution(connection, other)
    with pytest.raises(SystemExit, match="job 'order:7' has an id that is no UUID"):
        flask_migrate.downgrade("migrations", revision="0010")
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM job_executions WHERE job_id = 'order:7'"))
    flask_migrate.downgrade("migrations", revision="0010")
    with db.engine.connect() as connection:
        assert list(map(str, connection.execute(joined).scalars())) == [given["id"]]


def test_fault_K8_customers_stay_whose_they_are_when_their_table_is_made(empty_app: Flask) -> None:
    """Also where a customer has subscriptions alone; what its organization shows comes first."""
    flask_migrate.upgrade("migrations", revision="0012")
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO organizations (id, name, stripe_customer_id)"
                " VALUES (1, 'One', 'cus_1'), (2, 'Two', NULL)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO stripe_subscriptions"
                " (stripe_subscription_id, organization_id, stripe_customer_id)"
                " VALUES ('sub_1', 2, 'cus_1'), ('sub_2', 2, 'cus_2'), ('sub_3', NULL, 'cus_3')"
            )
        )
    flask_migrate.upgrade("migrations")

    kept = text("SELECT stripe_customer_id, organization_id, named_at FROM stripe_customers")
    with db.engine.connect() as connection:
        assert {tuple(row) for row in connection.execute(kept)} == {
            ("cus_1", 1, -1),
            ("cus_2", 2, -1),
        }
