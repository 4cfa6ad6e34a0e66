"""What the original's monitoring endpoint answers stands beside our own verdict."""

from typing import Any

import pytest
from flask import Flask

from app.jobs.operate import health
from tests.support.rows import AddJobs

NOW, HOURS_AGO = "now()", "now() - interval '2 hours'"


def answer() -> dict[str, Any]:
    whole = health.as_json(health.check())
    return {key: whole[key] for key in ("stats", "failureRate", "totalJobs", "health")}


def test_without_jobs_it_is_healthy(app: Flask) -> None:
    assert answer() == {"stats": [], "failureRate": 0, "totalJobs": 0, "health": "healthy"}


@pytest.mark.parametrize(
    ("completed", "failed", "verdict"),
    [(96, 4, "healthy"), (95, 5, "unhealthy"), (0, 1, "unhealthy"), (19, 0, "healthy")],
)
def test_from_five_per_cent_on_it_is_unhealthy(
    add_jobs: AddJobs, completed: int, failed: int, verdict: str
) -> None:
    add_jobs(completed, "completed", completed_at=NOW)
    add_jobs(failed, "failed", completed_at=NOW, dead_at=NOW)
    add_jobs(3, "failed", completed_at=HOURS_AGO, dead_at=HOURS_AGO, created_at=HOURS_AGO)

    said = answer()

    counts = {one["status"]: one["count"] for one in said["stats"]}
    expected = {"completed": completed, "failed": failed}
    assert counts == {status: count for status, count in expected.items() if count}
    assert (said["failureRate"], said["totalJobs"]) == (failed, completed + failed)
    assert said["health"] == verdict


def test_the_share_has_a_key_of_its_own(add_jobs: AddJobs) -> None:
    add_jobs(9, "completed", completed_at=NOW)
    add_jobs(3, "failed", completed_at=NOW, dead_at=NOW)

    said = health.as_json(health.check())

    assert (said["failureRate"], said["failureShare"]) == (3, 0.25)
    assert (said["health"], said["verdict"]) == ("unhealthy", "degraded")
