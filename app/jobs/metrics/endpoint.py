"""`GET /metrics`, for Prometheus."""

from hmac import compare_digest

from flask import Response, current_app, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from ..any_host import AnyHostBlueprint

bp = AnyHostBlueprint("jobs_metrics", __name__)


@bp.get("")
def scrape() -> Response:
    """Answer in the text format of Prometheus, or in OpenMetrics if requested."""
    if not _may_see():
        raise Unauthorized(
            "Send `Authorization: Bearer …` with the JOBS_METRICS_TOKEN of this app.",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    from . import collectors  # noqa: PLC0415 - prometheus-client is slow to import

    body, content_type = collectors.scrape(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _may_see() -> bool:
    """Require the token; where there is none, JOBS_METRICS_OPEN decides."""
    wanted = current_app.config["JOBS_METRICS_TOKEN"]
    if not wanted:
        return bool(current_app.config["JOBS_METRICS_OPEN"])
    given = request.authorization
    if given is None or given.type != "bearer" or given.token is None:
        return False
    return compare_digest(given.token.encode(), wanted.encode())
