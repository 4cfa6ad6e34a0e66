"""Endpoints for machines: the probes, open to everybody, and the health of the jobs."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Blueprint, current_app, redirect, request
from flask.typing import ResponseReturnValue

from app.admin import history
from app.admin.access import admin_only, known_as
from app.extensions import limiter
from app.jobs.operate import HealthStatus, health, readiness
from app.web.limits import limited

#: They name what is missing, and no secrets.
probes_bp = Blueprint("probes", __name__)
limiter.exempt(probes_bp)
#: What a browser finds at the app's own address, in development.
home_bp = Blueprint("home", __name__)
health_bp = limited(Blueprint("job_health", __name__, url_prefix="/api/admin"), known_as=known_as)

_NOT_KEPT = {"Cache-Control": "no-store"}


@home_bp.get("/")
def home() -> ResponseReturnValue:
    return redirect(current_app.config["JOBS_DASHBOARD_PREFIX"])


@probes_bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Report that this process answers; one that does not should be restarted.

    Under `make dev` also whose it is, as another checkout's may answer at the address.
    """
    instance = current_app.config["DEV_INSTANCE"]
    said = {"status": "ok", "instance": instance} if instance else {"status": "ok"}
    return said, HTTPStatus.OK, _NOT_KEPT


@probes_bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Report whether this process can take requests: 503 names each part that is missing.

    `?without=qstash` leaves a part out: the app accepts jobs while QStash is away.
    """
    left_out = set(request.args.get("without", "").split(","))
    parts = [part for part in _parts() if part.name not in left_out]
    ready = all(part.problem is None for part in parts)
    body = {
        "status": "ready" if ready else "not ready",
        "parts": {part.name: part.problem or "ok" for part in parts},
    }
    return body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, _NOT_KEPT


def _parts() -> Iterator[readiness.Part]:
    """Yield the parts that the jobs need, this app's own migrations included."""
    for part in readiness.parts():
        if part.name == "migrations":
            yield readiness.Part(part.name, history.problem() or part.problem)
        else:
            yield part


@health_bp.get("/job-health")
@admin_only
def job_health() -> ResponseReturnValue:
    """Answer 503 for unhealthy, so that a monitor needs to read no JSON, and 200 otherwise."""
    found = health.check()
    is_bad = found.verdict == HealthStatus.UNHEALTHY
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_bad else HTTPStatus.OK
    return health.as_json(found), status, {"Cache-Control": "no-store"}
