"""The doctor on the command line, and an app that QStash reaches at a real address."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from werkzeug.serving import make_server

from app.local_qstash.testing import LocalQStash
from tests.jobs.conftest import served_by


@dataclass(frozen=True)
class Said:
    """What a run of the doctor found, by check, and its exit code."""

    exit_code: int
    findings: dict[str, dict[str, str]]

    def levels(self) -> dict[str, str]:
        return {name: finding["level"] for name, finding in self.findings.items()}


Doctor = Callable[..., Said]


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
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    app.config["BASE_URL"] = f"http://127.0.0.1:{server.server_port}"
    qstash = LocalQStash(speed=100)
    try:
        with served_by(app, qstash):
            yield qstash
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
