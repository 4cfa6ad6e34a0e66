"""What a handler logs is kept with its attempt, and shown."""

import asyncio
import contextvars
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from marshmallow import fields

from app.jobs import Job, JobBlueprint, PayloadSchema, enqueue
from app.jobs.execute.log_lines import LARGEST, LONGEST, MOST
from app.jobs.operate import Filter, list_jobs, logs_of
from tests.support.qstash import deliver, envelope
from tests.support.rows import change_row, row_of

PATH = "/api/jobs/talk"
SECRET = "https://acme.example/reset/5f1d7a84-e0b9-4c0f-a3c1-e2d96b7a58c4"

bp = JobBlueprint("talks", __name__)
log = logging.getLogger("a.library")


@dataclass(frozen=True)
class Talk:
    way: str
    link: str | None = None


class TalkSchema(PayloadSchema[Talk]):
    model = Talk

    way = fields.String(required=True)
    link = fields.String()


@bp.job("talk", "/talk", payload=TalkSchema, retries=30, sealed=("link",))
async def talk(payload: Talk, job: Job) -> None:  # noqa: C901 - a menu
    match payload.way:
        case "plain":
            log.info("read %d rows", 7)
            logging.getLogger("a.private").warning("slow")
        case "fails":
            log.warning("attempt %d", job.attempt)
            raise ValueError("no")
        case "secret":
            log.info("fetching %s", payload.link)
        case "traceback":
            try:
                json.loads("{}")[payload.link]
            except LookupError:
                log.exception("not found")
        case "much":
            for number in range(MOST + 20):
                log.info("line %d", number)
        case "long":
            for number in range(20):
                log.info("%d %s", number, "x" * 10 * LONGEST)
        case "elsewhere":
            await asyncio.create_task(_say("in a task"))
            await asyncio.to_thread(log.info, "in a thread")
            thread = threading.Thread(
                target=contextvars.copy_context().run, args=(log.info, "by its context")
            )
            thread.start()
            thread.join()
            other = threading.Thread(target=log.info, args=("in nobody's name",))
            other.start()
            other.join()
        case "odd":
            log.info("a \x00 bad \udc00 day")
            log.info("<script>alert(1)</script>")
        case "debug":
            log.debug("not let through")
            log.info("dropped by a filter")
            log.info("changed by a filter")


async def _say(text: str) -> None:
    log.info(text)


def change(record: logging.LogRecord) -> bool:
    record.msg = record.msg.replace("changed", "CHANGED")
    return True


@pytest.fixture
def app(app: Flask) -> Iterator[Flask]:
    app.register_blueprint(bp)
    private = logging.getLogger("a.private")
    private.propagate = False
    log.setLevel(logging.INFO)
    yield app
    private.propagate = True
    log.setLevel(logging.NOTSET)


def run(client: FlaskClient, way: str, **payload: str) -> Any:
    job = envelope({"way": way, **payload}, "talk")
    deliver(client, job, PATH)
    return row_of(job)


def said(row: Any) -> list[str]:
    return [line["message"] for log in logs_of(row) for line in log.lines]


def test_lines_of_any_logger_are_kept_with_the_attempt(client: FlaskClient) -> None:
    [kept] = logs_of(run(client, "plain"))

    assert (kept.attempt, kept.left_out) == (1, 0)
    assert [(line["level"], line["logger"], line["message"]) for line in kept.lines] == [
        ("INFO", "a.library", "read 7 rows"),
        ("WARNING", "a.private", "slow"),
    ]
    assert kept.lines[0]["at"].endswith("+00:00")


def test_each_attempt_has_its_own_and_the_newest_are_kept(client: FlaskClient) -> None:
    job = envelope({"way": "fails"}, "talk")
    for retried in range(22):
        deliver(client, job, PATH, upstash_retried=str(retried))

    kept = logs_of(row_of(job))

    assert [log.attempt for log in kept] == list(range(3, 23))
    assert kept[-1].lines[0]["message"] == "attempt 22"


def test_a_job_that_logs_nothing_costs_nothing(client: FlaskClient, statements: list[str]) -> None:
    job = envelope({"way": "silent"}, "talk")
    job_id = enqueue("talk", {"way": "silent"})
    del statements[:]

    deliver(client, {**job, "jobId": job_id}, PATH)

    assert len(statements) == 2
    assert not [one for one in statements if "logs" in one]
    assert row_of(job_id).logs is None


def test_lines_cost_no_statement_of_their_own(client: FlaskClient, statements: list[str]) -> None:
    job_id = enqueue("talk", {"way": "plain"})
    job = {**envelope({"way": "plain"}, "talk"), "jobId": job_id}
    del statements[:]

    deliver(client, job, PATH)

    assert len(statements) == 2
    assert said(row_of(job_id)) == ["read 7 rows", "slow"]


def test_the_newest_hundred_are_kept(client: FlaskClient) -> None:
    [kept] = logs_of(run(client, "much"))

    assert kept.left_out == 20
    assert [kept.lines[0]["message"], kept.lines[-1]["message"]] == ["line 20", "line 119"]
    assert len(kept.lines) == MOST


def test_long_lines_are_cut_and_bounded_in_sum(client: FlaskClient) -> None:
    [kept] = logs_of(run(client, "long"))

    messages = [line["message"] for line in kept.lines]
    assert max(map(len, messages)) <= LONGEST
    assert sum(map(len, messages)) <= LARGEST
    assert messages[-1].startswith("19 xxx")
    assert len(messages) + kept.left_out == 20


@pytest.mark.parametrize("way", ["secret", "traceback"])
def test_what_is_sealed_is_in_no_line(client: FlaskClient, way: str) -> None:
    row = run(client, way, link=SECRET)

    assert "5f1d7a84" not in json.dumps(row.logs)
    assert "[sealed]" in json.dumps(row.logs)


def test_a_traceback_that_is_logged_is_kept_to_its_end(client: FlaskClient) -> None:
    [line] = said(run(client, "traceback", link=SECRET))

    assert line.startswith("not found\nTraceback (most recent call last):\n")
    assert line.endswith("KeyError: '[sealed]'")


def test_tasks_and_threads_with_the_context_count(client: FlaskClient) -> None:
    assert said(run(client, "elsewhere")) == ["in a task", "in a thread", "by its context"]


def test_whatever_is_logged_can_be_stored(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", False)  # half a surrogate pair is too much for pytest

    row = run(client, "odd")

    assert row.status == "completed"
    assert said(row) == ["a \ufffd bad ? day", "<script>alert(1)</script>"]


def test_levels_and_filters_of_the_apps_logging_count(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = logging.StreamHandler(StringIO())
    shown.addFilter(change)
    monkeypatch.setattr(log, "handlers", [shown])
    monkeypatch.setattr(log, "filters", [lambda record: "dropped" not in record.msg])

    assert said(run(client, "debug")) == ["CHANGED by a filter"]


def test_the_setting_keeps_none(app: Flask, client: FlaskClient) -> None:
    app.config["JOBS_KEEP_LOGS"] = False

    assert run(client, "plain").logs is None


def test_logs_of_another_shape_are_in_no_ones_way(client: FlaskClient) -> None:
    job_id = enqueue("talk", {"way": "plain"})
    change_row(job_id, logs={"not": "ours"})

    assert logs_of(row_of(job_id)) == []
    deliver(client, {**envelope({"way": "plain"}, "talk"), "jobId": job_id}, PATH)
    assert said(row_of(job_id)) == ["read 7 rows", "slow"]

    change_row(job_id, logs=[7, {"attempt": 1}, {"attempt": 2, "left_out": 0, "lines": [7]}])
    assert logs_of(row_of(job_id)) == []


def test_lists_do_not_read_them(client: FlaskClient, statements: list[str]) -> None:
    run(client, "plain")
    del statements[:]

    assert list_jobs(Filter(job_type="talk"), limit=5).jobs

    assert not [one for one in statements if "logs" in one]


def test_the_command_shows_them(client: FlaskClient, cli: FlaskCliRunner) -> None:
    row = run(client, "plain")

    shown = cli.invoke(args=["jobs", "show", row.job_id, "--logs"]).output
    as_json = json.loads(cli.invoke(args=["jobs", "show", row.job_id, "--logs", "--json"]).output)

    assert "log of attempt 1\n" in shown
    assert " INFO a.library: read 7 rows\n" in shown
    assert as_json["logs"][0]["lines"][1]["message"] == "slow"
    assert "slow" not in cli.invoke(args=["jobs", "show", row.job_id]).output


def test_the_command_says_that_there_are_none(client: FlaskClient, cli: FlaskCliRunner) -> None:
    row = run(client, "silent")

    assert (
        "No attempt that has ended logged"
        in cli.invoke(args=["jobs", "show", row.job_id, "--logs"]).output
    )
