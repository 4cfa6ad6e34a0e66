"""Unique jobs on the dashboard: a conflict in words, and what a job is unique by."""

import pytest
from flask import Flask

from app.jobs import Unique, enqueue
from app.jobs.testing import deliver
from tests.support.rows import change_row, count_rows
from tests.support.unique_jobs import bp

from .pages import Reader, text_of

pytestmark = pytest.mark.usefixtures("published")
SAME = {"action": "none"}


@pytest.fixture(autouse=True)
def unique_types(app: Flask) -> None:
    app.register_blueprint(bp)


def test_a_new_job_that_is_there_already_says_so(reader: Reader) -> None:
    first = enqueue("one", SAME)

    answer = reader.send("/enqueue", {"type": "one", "payload.action": "none"}, at="/new?type=one")

    assert (answer.location or "").endswith(first)
    told = text_of(reader.get(f"/job/{first}"))
    assert f"Job {first} does the same and is there already; nothing was enqueued." in told
    assert count_rows() == 1


def test_a_conflict_is_told_beside_the_form(reader: Reader) -> None:
    first = enqueue("only", {**SAME, "count": 0})

    form = {"type": "only", "payload.action": "none", "payload.count": "0"}
    answer = reader.send("/enqueue", form, at="/new?type=only")

    assert answer.status_code == 400
    assert f"only is unique, and job {first} has the same payload" in text_of(answer)
    assert count_rows() == 1


def test_a_job_says_what_it_is_unique_by_and_what_it_follows(reader: Reader) -> None:
    rule = Unique(fields=("action",), once_more=True)
    first = enqueue("sample", SAME, unique=rule)
    change_row(first, status="processing", started_at="2026-01-01T00:00:00+00:00")
    second = enqueue("sample", SAME, unique=rule)
    debounced = enqueue("newest", SAME)
    enqueue("newest", {"action": "other"})

    told = text_of(reader.get(f"/job/{second}"))
    assert "Unique by action, until it begins, and then one more waits for its end" in told
    assert f"Follows {first}" in told
    assert f"job {first}, which does the same, has to end first" in told
    told = text_of(reader.get(f"/job/{debounced}"))
    assert "by its organization, until it begins; put off by 30.0 s with each call" in told
    assert "Replaced once" in told


def test_a_retry_whose_key_another_job_has_says_so(reader: Reader) -> None:
    first = enqueue("one", {"action": "permanent"})
    deliver(first)
    second = enqueue("one", {"action": "permanent"})

    reader.send("/retry", {"job_id": first}, at=f"/job/{first}")

    told = text_of(reader.get(f"/job/{first}"))
    assert f"Not retried: job {first} of one is unique, and job {second} has its key" in told
