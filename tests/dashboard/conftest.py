"""Readers of the dashboard."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .pages import Reader


@pytest.fixture
def reader(app: Flask, client: FlaskClient) -> Reader:
    app.config["JOBS_DASHBOARD"] = "local"
    return Reader(client)
