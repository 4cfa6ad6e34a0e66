"""Jobs that come too late do not run, and say so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import text

from app.db import db
from app.jobs import (
    InvalidOption,
    Jobs,
    PayloadSchema,
    enqueue,
    get_job_execution_by_job_id,
    schedule,
)
from app.jobs.testing import deliver
from tests.support.sample_jobs import SampleSchema

PAST = "2020-01-01T00:00:00+00:00"


def late(action: str = "none", **payload: Any) -> str:
    """Enqueue a job that may begin within an hour, which then is over."""
    job_id = enqueue("sample", {"action": action, **payload}, expires="1h")
    make_late(job_id)
    return job_id


def make_late(job_id: str) -> None:
    statement = (
        "UPDATE job_executions SET options = jsonb_set(options, '{expires}', to_jsonb(CAST(:at AS"
        " text))) WHERE job_id = :job_id"
    )
    db.session.execute(text(statement), {"at": PAST, "job_id": job_id})
    db.session.commit()


def row_of(job_id: str) -> Any:
    db.session.rollback()
    return get_job_execution_by_job_id(job_id)


def test_in_time_a_job_runs(app: Flask, published: Any) -> None:
    job_id = enqueue("sample", {"action": "none"}, expires=timedelta(hours=1))
    deliver(job_id)

    assert row_of(job_id).status == "completed"


def test_too_late_it_ends_as_expired_and_never_runs(app: Flask, published: Any) -> None:
    job_id = late()

    answers = [deliver(job_id), deliver(job_id)]

    assert [(answer.json or {}).get("skipped") for answer in answers] == ["expired", "cancelled"]
    row = row_of(job_id)
    assert (row.status, row.result) == ("cancelled", None)
    assert row.error == "it came later than `expires` allows, and was not run"
    assert [attempt["outcome"] for attempt in row.attempts] == ["expired"]


def test_a_retry_that_comes_too_late_is_not_run(app: Flask, published: Any) -> None:
    job_id = enqueue("sample", {"action": "fail"}, expires="1h")
    deliver(job_id)
    assert row_of(job_id).status == "failed"
    make_late(job_id)

    deliver(job_id, retried=1)

    row = row_of(job_id)
    assert [attempt["outcome"] for attempt in row.attempts] == ["failed", "expired"]
    assert row.status == "cancelled"


def test_what_has_begun_goes_on(app: Flask, published: Any) -> None:
    job_id = enqueue("sample", {"action": "legs", "count": 2}, expires="1h")
    deliver(job_id)
    make_late(job_id)

    deliver(job_id)

    assert row_of(job_id).status == "completed"


def test_a_person_may_run_it_after_all(app: Flask, published: Any, cli: FlaskCliRunner) -> None:
    job_id = late()
    deliver(job_id)

    assert cli.invoke(args=["jobs", "retry", job_id, "--yes"]).exit_code == 0
    deliver(job_id)

    assert row_of(job_id).status == "completed"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expires": 0}, "expires: 0 is too short; give at least one second"),
        ({"expires": "soon"}, "expires: 'soon' is not a duration"),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "is over; the job would never run"),
        ({"expires": datetime(2030, 1, 1)}, "is not an aware datetime; add a time zone"),  # noqa: DTZ001 - that is the mistake
        ({"expires": "366d"}, "'366d' is more than a year away; leave it out"),
        ({"expires": "9999999999d"}, "is more than a year away"),
        ({"expires": 1e308}, "is more than a year away"),
        ({"expires": "1h", "delay": "1h1s"}, "expires: is not later than delay"),
        (
            {"expires": "1h", "not_before": datetime.now(UTC) + timedelta(days=1)},
            "expires: is not later than not_before",
        ),
    ],
)
def test_an_end_that_makes_no_sense_is_refused(
    app: Flask, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as refused:
        enqueue("sample", {"action": "none"}, **options)

    assert said in str(refused.value)


def test_the_longest_wait_that_a_number_can_say_is_a_wait_too(app: Flask) -> None:
    """A retry_delay of seconds that has no milliseconds as a float."""
    job_id = enqueue("sample", {"action": "none"}, retry_delay=1e308)

    assert int(row_of(job_id).options["retry_delay"]) > 0


def test_where_nobody_would_look_it_is_refused(app: Flask) -> None:
    with pytest.raises(InvalidOption, match="expires: a schedule has many firings"):
        schedule("sample", "@daily", {"action": "none"}, expires=datetime.now(UTC))
    elsewhere: type[PayloadSchema[Any]] = SampleSchema
    notify = Jobs().external("notify", schema=elsewhere, url="https://worker.example.com/notify")
    config = notify.new_config()
    with pytest.raises(InvalidOption, match="the worker of 'notify' is elsewhere"):
        config.options_with({"expires": "1h"})
