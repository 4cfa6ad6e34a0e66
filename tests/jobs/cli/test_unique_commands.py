"""Unique jobs on the command line."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.jobs import enqueue
from app.jobs.testing import deliver
from tests.support.rows import count_rows
from tests.support.unique_jobs import bp

pytestmark = pytest.mark.usefixtures("published")
PERMANENT = '{"action": "permanent"}'


@pytest.fixture(autouse=True)
def unique_types(app: Flask) -> None:
    app.register_blueprint(bp)


def run(cli: FlaskCliRunner, *args: str) -> tuple[int, str]:
    done = cli.invoke(args=["jobs", *args])
    return done.exit_code, done.output


def test_enqueue_says_what_it_came_to(cli: FlaskCliRunner) -> None:
    first = enqueue("one", {"action": "permanent"})
    newest = enqueue("newest", {"action": "none"})
    only = enqueue("only", {"action": "none"})

    assert f"Existing: job {first} does the same" in run(cli, "enqueue", "one", PERMANENT)[1]
    assert f"Replaced: job {newest} was waiting" in run(cli, "enqueue", "newest", PERMANENT)[1]
    status, told = run(cli, "enqueue", "only", '{"action": "none"}')
    assert status != 0
    assert f"only is unique, and job {only} has the same payload" in told
    assert count_rows() == 3
    assert "by action, until it has ended" in run(cli, "show", first)[1]
    assert "replaced" in run(cli, "show", newest)[1]


def test_an_idempotency_key_has_a_time_and_one_payload(cli: FlaskCliRunner) -> None:
    key = ("--idempotency-key", "k", "--idempotency-ttl", "1h")
    assert run(cli, "enqueue", "sample", PERMANENT, *key)[0] == 0

    status, told = run(cli, "enqueue", "sample", '{"action": "none"}', *key)

    assert status != 0
    assert "whose payload is another: use a key of its own for each payload" in told


def test_a_retry_whose_key_another_job_has_says_so(cli: FlaskCliRunner) -> None:
    first = enqueue("one", {"action": "permanent"})
    deliver(first)
    second = enqueue("one", {"action": "permanent"})

    status, told = run(cli, "retry", first)

    assert status == 1
    assert f"Not retried: job {first} of one is unique, and job {second} has its key" in told
