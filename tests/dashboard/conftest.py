"""Readers of the dashboard."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dashboard import cached
from app.jobs.table import counts

from .pages import Reader


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Wait for figures, which a busy machine may be slow to compute."""
    before = cached.PATIENCE, counts.PATIENCE_MS
    cached.PATIENCE, counts.PATIENCE_MS = 60.0, 60_000
    yield
    cached.PATIENCE, counts.PATIENCE_MS = before


@pytest.fixture
def reader(app: Flask, client: FlaskClient) -> Reader:
    app.config["JOBS_DASHBOARD"] = "local"
    return Reader(client)
