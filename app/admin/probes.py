"""`GET /healthz` and `GET /readyz`, open to everybody: they say what is missing, and no secrets."""

from http import HTTPStatus

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue

from app.extensions import limiter
from app.jobs.operate import readiness

bp = Blueprint("probes", __name__)
limiter.exempt(bp)

_NOT_KEPT = {"Cache-Control": "no-store"}


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Say that this process answers; one that does not should be started again.

    Under `make dev` also whose it is, as another checkout's may answer at the address.
    """
    instance = current_app.config["DEV_INSTANCE"]
    said = {"status": "ok", "instance": instance} if instance else {"status": "ok"}
    return said, HTTPStatus.OK, _NOT_KEPT


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Say whether requests should be sent here: 503 names each part that is missing.

    `?without=qstash` leaves a part out: the app accepts jobs while QStash is away.
    """
    left_out = set(request.args.get("without", "").split(","))
    parts = [part for part in readiness.parts() if part.name not in left_out]
    ready = all(part.problem is None for part in parts)
    body = {
        "status": "ready" if ready else "not ready",
        "parts": {part.name: part.problem or "ok" for part in parts},
    }
    return body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, _NOT_KEPT
