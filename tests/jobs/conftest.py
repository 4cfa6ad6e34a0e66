"""Schedules for the tests of jobs."""

import pytest
from flask import Flask

from app.jobs import JobBlueprint


@pytest.fixture
def only_maintenance(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The families that the app ships with declare no schedules."""
    for blueprint in app.blueprints.values():
        for job_type in blueprint.job_types if isinstance(blueprint, JobBlueprint) else ():
            monkeypatch.setattr(job_type, "schedules", [])
