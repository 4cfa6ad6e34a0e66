"""What `flask jobs usage` counts is what QStash counted."""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.jobs import enqueue, enqueue_many
from app.jobs.operate import Filter, actions, usage
from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, serving
from tests.support.publishing import served_by
from tests.support.qstash import BASE_URL
from tests.support.rows import AddJobs, Rows
from tests.support.waiting import wait_until

GOOD = {"action": "none"}
ACTIONS: list[dict[str, Any]] = [
    GOOD,
    {"action": "fail"},
    {"action": "fail-twice"},
    {"action": "permanent"},
    {"action": "legs", "count": 30},
    {"action": "later"},
]


@pytest.fixture
def server(app: Flask) -> Iterator[LocalQStash]:
    with serving(app) as origin:
        server = LocalQStash(speed=10_000, origins={BASE_URL: origin})
        with served_by(app, server):
            yield server


def is_final(rows: Rows, job_id: str) -> bool:
    return rows[job_id].is_final


def settle(server: LocalQStash, rows: Rows, jobs: Iterable[str]) -> None:
    for job in jobs:
        wait_until(partial(is_final, rows, job), f"the end of {job}")
    wait_until(lambda: not server.server.services.engine.messages, "QStash's callbacks")


def test_it_counts_within_one_percent_of_what_qstash_did(
    app: Flask, cli: FlaskCliRunner, rows: Rows, server: LocalQStash
) -> None:
    with HttpServer() as told:
        app.config["JOBS_CALLBACK_ALLOW"] = "127.0.0.1"
        about = {"callback": told.url, "failure_callback": told.url}
        jobs = enqueue_many("noop", [GOOD] * 40, organization_id=1)
        jobs += [enqueue("sample", payload, organization_id=2) for payload in ACTIONS]
        jobs += [enqueue("sample", payload, **about) for payload in ACTIONS[:3]]  # type: ignore[arg-type]
        settle(server, rows, jobs)
        actions.retry(Filter(dead=True), by="test")
        settle(server, rows, jobs)
        cli.invoke(args=["jobs", "doctor", "--only", "probe"])
        settle(server, rows, jobs)

    theirs = server.usage.total
    answer = json.loads(cli.invoke(args=["jobs", "usage", "--json"]).stdout)
    ours = answer["total"]
    assert ours["jobs"] == len(jobs)
    assert ours["legs"] == 29
    assert abs(ours["total"] - theirs.total()) <= theirs.total() / 100, (answer, theirs)
    for kind in ("retries", "callbacks"):
        assert abs(ours[kind] - theirs[kind]) <= 1, (answer, theirs)
    assert answer["types"]["noop"]["total"] == 40
    assert {"organizationId": 1} | answer["types"]["noop"] in answer["organizations"]


def test_it_tells_what_the_plan_has_and_what_a_month_would_take(
    app: Flask, cli: FlaskCliRunner, add_jobs: AddJobs
) -> None:
    app.config.update(JOBS_PLAN_MESSAGES_PER_DAY=1000, JOBS_PLAN_PRICE=1.0)
    attempt = """'[{"number": 1, "message_id": "m"}]'"""
    done = {"attempts": attempt, "message_id": "'m'", "completed_at": "now()"}
    add_jobs(10, "completed", created_at="now() - interval '2 days'", **done)
    add_jobs(30, "completed", organization_id="7", **done)
    add_jobs(1, "completed", attempts="'5'")  # by somebody else, and unreadable

    found = usage.usage(since=7 * usage.DAY)
    assert (found.total.total, found.today) == (40, 30)
    assert found.projected == pytest.approx(40 / 2 * 30, abs=1)

    said = cli.invoke(args=["jobs", "usage", "--since", "7d"]).output
    assert "Last 7 d: " in said
    assert "30 of the plan's 1,000 messages, 3%" in said
    assert "600 in 30 days at this rate" in said
    assert "At 1 per 100,000 messages: 0.01 a month" in said
    by = cli.invoke(args=["jobs", "usage", "--by", "organization"]).output
    assert [line.split()[:3] for line in by.splitlines()[1:3]] == [
        ["7", "30", "30"],
        ["-", "11", "10"],
    ]


def test_no_jobs_are_no_messages(app: Flask, cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "usage"])

    assert result.exit_code == 0, result.output
    assert "0 messages, 0 a day; 0 in 30 days" in result.output
