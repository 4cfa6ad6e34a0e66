"""For how long jobs are kept, by type and by how they ended."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.db import db
from app.families.cleanup.cleanup_old_data import Cleanup, cleanup_old_data
from app.jobs import Job, JobBlueprint, JobExecution
from app.jobs.doctor.queue import retention
from app.jobs.errors import DiscoveryError
from app.jobs.kit import check_setting
from app.jobs.testing import make_job
from tests.support.rows import add_row
from tests.support.sample_jobs import Sample, SampleSchema

bp = JobBlueprint("kept", __name__)
DAY = 24 * 60 * 60


@bp.job(
    "kept", "/kept", payload=SampleSchema, retention={"completed": "7d", "dead": timedelta(days=30)}
)
def kept_job(payload: Sample, job: Job) -> None:
    """Do nothing."""


@pytest.fixture
def app(app: Flask) -> Flask:
    app.register_blueprint(bp)
    return app


def ended(status: str, days: float, job_type: str = "kept") -> str:
    then = datetime.now(UTC) - timedelta(days=days)
    values = {"status": "failed", "dead_at": then} if status == "dead" else {"status": status}
    times = {"created_at": then, "updated_at": then, "completed_at": then}
    return add_row(job_type=job_type, **times, **values)


def clean() -> set[str]:
    """Run the cleanup with 90 days; return the jobs that are left."""
    cleanup_old_data(Cleanup(retention=90), make_job("cleanup-old-data"))
    db.session.rollback()
    return set(db.session.scalars(select(JobExecution.job_id)))


def test_a_type_says_it_by_how_a_job_ended(app: Flask) -> None:
    for status, days in (("completed", 8), ("dead", 31), ("cancelled", 91)):
        ended(status, days)
    left = {
        ended("completed", 6),
        ended("dead", 29),
        ended("cancelled", 89),
        ended("completed", 89, "sample"),
        add_row(job_type="kept", created_at=datetime.now(UTC) - timedelta(days=400)),
    }

    assert clean() == left


def test_a_setting_says_it_for_all_types_that_do_not(app: Flask) -> None:
    app.config["JOBS_RETENTION"] = check_setting("JOBS_RETENTION", "completed=2d,cancelled=120d")
    ended("completed", 3, "sample")
    ended("completed", 3, "no-longer-known")
    ended("dead", 91, "sample")
    left = {ended("completed", 3), ended("cancelled", 119, "sample"), ended("dead", 89, "sample")}

    assert clean() == left


def test_what_is_counted_is_what_is_deleted(app: Flask) -> None:
    ended("completed", 8)
    ended("completed", 6)

    found = cleanup_old_data(Cleanup(retention=90, dry_run=True), make_job("cleanup-old-data"))

    assert found is not None
    assert found["wouldDelete"]["jobExecutions"] == 1


WRONG: list[tuple[Any, str]] = [
    ("7d", "says how long to keep what is '7d'; it can say completed, cancelled, dead"),
    (["completed"], "is not a dict such as"),
    ({"failed": "7d"}, "says how long to keep what is 'failed'"),
    ({"dead": "soon"}, "keeps what is dead for 'soon', which is not a duration"),
    ({"dead": "23h"}, "keeps what is dead for '23h'; give one day at least"),
    ({"dead": "99999d"}, "a hundred years at most"),
    ({"dead": None}, "keeps what is dead for None, which is not a duration"),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_what_makes_no_sense_stops_the_start(given: Any, said: str) -> None:
    declare: Any = JobBlueprint("w", __name__).job(
        "wrong", "/wrong", payload=SampleSchema, retention=given
    )
    with pytest.raises(DiscoveryError, match="job type 'wrong'.*retention: .*" + said):
        declare(kept_job.handler)
    with pytest.raises(ValueError, match=said):
        check_setting("JOBS_RETENTION", given)


def test_the_setting_is_written_in_one_line() -> None:
    given = check_setting("JOBS_RETENTION", " completed = 7d , dead=90d,")

    assert given == {"completed": 7 * DAY, "dead": 90 * DAY}
    assert check_setting("JOBS_RETENTION", "") == {}


def test_types_show_it(app: Flask, cli: FlaskCliRunner) -> None:
    app.config["JOBS_RETENTION"] = {"cancelled": 14.0 * DAY}

    table = cli.invoke(args=["jobs", "types"]).output
    as_json = json.loads(cli.invoke(args=["jobs", "types", "--json"]).stdout)

    assert "KEPT" in table
    assert "cancelled 14 d, completed 7 d, dead 30 d" in table
    assert {one["type"]: one["retention"] for one in as_json}["kept"] == {
        "cancelled": 14 * DAY,
        "completed": 7 * DAY,
        "dead": 30 * DAY,
    }


def test_the_doctor_says_where_nothing_obeys_it(app: Flask) -> None:
    ended("completed", 8)
    assert retention().level == "pass"

    ended("completed", 10)

    found = retention()
    assert found.level == "warn"
    assert "1 of the 1,000 oldest jobs should be gone" in found.said
