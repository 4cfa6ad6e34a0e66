"""A database of the tests' own, as users' tests get it from `app.jobs.testing`."""

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from app import create_app
from app.db import db
from app.jobs import JobExecution, enqueue
from app.jobs.testing import clean_tables, temporary_database
from tests.support.apps import close_connections, settings
from tests.support.sample_jobs import Effect, bp


def databases(url: str) -> set[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = set(connection.scalars(text("SELECT datname FROM pg_database")))
    engine.dispose()
    return found


def test_it_is_another_one_which_ends_with_the_tests(database_server: str) -> None:
    before = databases(database_server)

    with temporary_database(database_server) as url:
        assert databases(url) - before == {url.rpartition("/")[2]}

    assert databases(database_server) == before


def test_its_tables_are_made_and_are_empty_after_each_test(database_server: str) -> None:
    with temporary_database(database_server) as url:
        for _ in range(2):
            app = create_app(settings(url))
            app.register_blueprint(bp)
            with app.app_context(), clean_tables():
                assert db.session.query(JobExecution).count() == 0
                assert db.session.query(Effect).count() == 0
                job_id = enqueue("sample", {"action": "none"})
                db.session.add(Effect(job_id=job_id, note="left"))
                db.session.commit()
                db.session.add(Effect(job_id=job_id, note="not committed"))
                db.session.flush()


def test_what_may_be_another_database_is_left_as_it_is(database_server: str) -> None:
    with temporary_database(database_server) as beside:
        name = "latest"
        engine = create_engine(beside, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
            try:
                refuses(create_app(settings(beside.rpartition("/")[0] + f"/{name}")))
            finally:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def refuses(app: Flask) -> None:
    with app.app_context():
        refused = pytest.raises(AssertionError, match="would empty the database 'latest'")
        with refused, clean_tables():
            pass
        assert inspect(db.engine).get_table_names() == []
        close_connections()
