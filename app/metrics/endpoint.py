"""`GET /metrics`, for Prometheus."""

from hmac import compare_digest

from flask import Blueprint, Response, current_app, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.extensions import limiter

bp = Blueprint("metrics", __name__)
limiter.exempt(bp)


@bp.get("/metrics")
def metrics() -> Response:
    """Answer in the text format of Prometheus, or in OpenMetrics if requested."""
    if not _may_see():
        raise Unauthorized(
            "Send `Authorization: Bearer …` with the METRICS_TOKEN of this app.",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    from app.metrics.collectors import scrape  # noqa: PLC0415 - prometheus-client is slow to import

    body, content_type = scrape(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _may_see() -> bool:
    """Require the token; without METRICS_TOKEN, only development is open."""
    wanted = current_app.config["METRICS_TOKEN"]
    if not wanted:
        return bool(current_app.config["APP_ENV"] == "development")
    given = request.authorization
    if given is None or given.type != "bearer" or given.token is None:
        return False
    return compare_digest(given.token.encode(), wanted.encode())
