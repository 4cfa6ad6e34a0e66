"""`GET /api/artifacts/<token>`: serve a file to anyone with the link."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, request
from werkzeug import Response

from app.artifacts.links import PATH, BadLink, DeadLink, follow, opened
from app.artifacts.stores import current_store
from app.web.limits import limited


def _known_by_link() -> str | None:
    artifact = opened((request.view_args or {}).get("token", ""))
    return None if artifact is None else f"file {artifact}"


bp = limited(Blueprint("artifacts", __name__), known_as=_known_by_link)


@bp.get(f"{PATH}<token>")
def download(token: str) -> Response:
    """Answer with the file or a part of it, or redirect to where it is.

    403 for an invalid link, 410 for an expired one; neither says more.
    """
    try:
        artifact, seconds = follow(token)
    except BadLink:
        abort(HTTPStatus.FORBIDDEN)
    except DeadLink:
        abort(HTTPStatus.GONE)
    response = current_store().response(artifact, seconds=seconds)
    if response is None:
        abort(HTTPStatus.GONE)
    response.headers.update(_headers(artifact.media_type))
    return response


def _headers(media_type: str) -> dict[str, Any]:
    """Keep the file out of shared caches, and its content out of our origin."""
    headers = {
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return headers
