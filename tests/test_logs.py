"""Log lines carry the ids of what is under way, in both formats."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.jobs import enqueue
from app.logs import TextFormatter, handler
from tests.support.qstash import deliver, envelope


@pytest.fixture
def log(app: Flask) -> Iterator[StringIO]:
    """What an app in production writes."""
    written = StringIO()
    made = handler(written, as_json=True)
    logging.getLogger().addHandler(made)
    yield written
    logging.getLogger().removeHandler(made)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("app.jobs")]


def test_a_delivery_logs_what_the_original_logs(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    deliver(client, envelope({"action": "none"}))
    deliver(client, envelope({"action": "fail"}))

    assert events(caplog) == [
        "[jobs] Processing job",
        "[jobs] Job processed successfully",
        "[jobs] Processing job",
        "[jobs] Job processing failed",
    ]
    last = vars(caplog.records[-1])
    assert last.keys() >= {"jobId", "type", "attempt", "duration_ms", "error"}


def test_an_enqueue_logs_what_the_original_logs(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    enqueue("sample", {"action": "none"})

    assert events(caplog) == ["[jobs] Enqueueing job", "[jobs] Job not published yet"]
    for line in caplog.records:
        assert vars(line)["url"] == "https://app.example.com/api/jobs/sample"


def test_the_request_id_of_the_enqueue_is_that_of_its_delivery(
    client: FlaskClient, log: StringIO
) -> None:
    response = deliver(client, envelope({"action": "none"}), x_request_id="abc-123")

    assert response.headers["X-Request-Id"] == "abc-123"
    lines = log.getvalue().splitlines()
    assert [json.loads(line)["requestId"] for line in lines] == ["abc-123", "abc-123"]


def test_a_line_that_a_handler_logs_names_its_job(client: FlaskClient, log: StringIO) -> None:
    job = envelope({"action": "log"}, metadata={"userId": 7, "organizationId": 3})

    deliver(client, job, x_request_id="abc-123")

    line = next(line for line in log.getvalue().splitlines() if "at work" in line)
    ids = {"jobId": job["jobId"], "type": "sample", "attempt": 1, "requestId": "abc-123"}
    assert json.loads(line).items() >= {**ids, "userId": 7, "organizationId": 3}.items()


def test_a_request_id_that_could_forge_lines_is_replaced(client: FlaskClient) -> None:
    response = deliver(client, envelope({"action": "none"}), x_request_id="a b=c")

    assert response.headers["X-Request-Id"] != "a b=c"


def record() -> logging.LogRecord:
    fields = {"msg": "[jobs] Processing job", "levelname": "INFO", "levelno": 20, "name": "app"}
    return logging.makeLogRecord({**fields, "jobId": "j1", "error": "two words"})


def test_production_logs_json(log: StringIO) -> None:
    logging.getLogger().handle(record())

    line = json.loads(log.getvalue())
    assert line["message"] == "[jobs] Processing job"
    assert (line["level"], line["jobId"]) == ("INFO", "j1")


def test_development_logs_a_line_to_read() -> None:
    assert (
        TextFormatter()
        .format(record())
        .endswith("INFO    [jobs] Processing job  jobId=j1 error='two words'")
    )
