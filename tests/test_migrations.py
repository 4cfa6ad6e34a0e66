"""The migrations make what the models say, and unmake it."""

from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect

from app import create_app
from app.db import Base, db
from tests.conftest import fresh_database, settings


@pytest.fixture
def empty_app(database_server: str, tmp_path: Path) -> Iterator[Flask]:
    """An app on a database without tables."""
    with fresh_database(database_server, f"migrations_{tmp_path.name}") as url:
        app = create_app(settings(url), instance=tmp_path)
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()


def test_the_migrations_make_what_the_models_say(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations")

    with db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert [d for d in differences if "effects" not in str(d)] == []


def test_every_migration_can_be_taken_back(empty_app: Flask) -> None:
    flask_migrate.upgrade("migrations")
    flask_migrate.downgrade("migrations", revision="base")

    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    flask_migrate.upgrade("migrations")


def test_a_database_that_is_not_migrated_says_so(empty_app: Flask) -> None:
    result = empty_app.test_cli_runner().invoke(args=["jobs", "list"])

    assert result.exit_code == 2
    assert "run `flask db upgrade`" in result.stderr
