"""Schedules and statements for the tests of jobs."""

from typing import Any

import psycopg
import pytest
from flask import Flask

from app.jobs import JobBlueprint


@pytest.fixture
def only_maintenance(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The families that the app ships with declare no schedules."""
    for blueprint in app.blueprints.values():
        for job_type in blueprint.job_types if isinstance(blueprint, JobBlueprint) else ():
            monkeypatch.setattr(job_type, "schedules", [])


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by each statement that is given to the driver."""
    given: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        given.append(str(query))
        return execute(cursor, query, *args, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return given
