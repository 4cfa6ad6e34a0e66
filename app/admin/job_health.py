"""`GET /api/admin/job-health`: the figures and the verdict."""

from http import HTTPStatus

from flask import Blueprint
from flask.typing import ResponseReturnValue

from app.admin.access import admin_only
from app.jobs.operate import health
from app.jobs.operate.health import Verdict

bp = Blueprint("job_health", __name__, url_prefix="/api/admin")


@bp.get("/job-health")
@admin_only
def job_health() -> ResponseReturnValue:
    """Answer 503 for unhealthy, so that a monitor needs to read no JSON, and 200 otherwise."""
    found = health.check()
    is_bad = found.verdict == Verdict.UNHEALTHY
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_bad else HTTPStatus.OK
    return health.as_json(found), status, {"Cache-Control": "no-store"}
