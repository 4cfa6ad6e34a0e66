"""Retries used up while the app was away: the job still ends where a person can see it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from flask import Flask

from app.dev.reaper import ROOT
from app.jobs import Status
from tests.e2e.stack import Stack, enqueue_to, in_dead_letters
from tests.support.rows import row_of

pytestmark = pytest.mark.usefixtures("producer")


@pytest.fixture
def given_up(stack: Stack, producer: Flask, request: pytest.FixtureRequest) -> Iterator[str]:
    """A job that QStash gave up, and an app that is still away."""
    stack.kill("web", signal.SIGTERM)  # SIGKILL would leave its workers behind for a moment
    job_id = enqueue_to(f"{request.node.name}@example.com", retries=1)
    stack.await_that(
        lambda: in_dead_letters(producer, row_of(job_id).message_id), "the dead letter"
    )
    yield job_id
    if "web" not in stack._processes:
        stack.start_web()


def test_the_failure_callback_marks_it_dead_when_the_app_is_back(
    stack: Stack, given_up: str
) -> None:
    assert row_of(given_up).status == Status.PENDING

    stack.start_web()

    row = stack.final(given_up)
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
    assert row.error == "QStash gave up after 2 attempts: the last got no answer"


def test_a_sweep_marks_it_dead_while_the_app_is_away(stack: Stack, given_up: str) -> None:
    command = [sys.executable, "-m", "flask", "jobs", "sweep", "--json"]

    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["dead_letters"] == 1
    row = row_of(given_up)
    assert (row.status, row.dead_at is not None) == (Status.FAILED, True)
