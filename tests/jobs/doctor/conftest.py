"""The doctor on the command line, and an app that QStash reaches at a real address."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.local_qstash.testing import LocalQStash
from tests.jobs.doctor.said import Doctor, Said
from tests.support.http_server import serving
from tests.support.publishing import served_by


@pytest.fixture
def doctor(cli: FlaskCliRunner) -> Doctor:
    """Run the doctor for some checks, or with other arguments."""

    def run(*only: str, args: tuple[str, ...] = ()) -> Said:
        chosen = [part for name in only for part in ("--only", name)]
        result = cli.invoke(args=["jobs", "doctor", "--json", *chosen, *args])
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return Said(result.exit_code, {one["check"]: one for one in found})

    return run


@pytest.fixture
def local(app: Flask) -> Iterator[LocalQStash]:
    """A local QStash server that the app publishes to, and that reaches it at BASE_URL."""
    qstash = LocalQStash(speed=100)
    with serving(app) as app.config["BASE_URL"], served_by(app, qstash):
        yield qstash
