"""Rate limits: a public blueprint states its limit where it is defined.

    bp = limited(Blueprint("job_api", __name__), known_as=access.caller_name)

Webhooks have their own limit, and probes none. QStash's endpoints rely on the signature alone: a
limit would reject deliveries.
"""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app
from flask_limiter.util import get_remote_address

from app.extensions import limiter
from app.jobs import DatabaseUnavailable, is_qstash_endpoint, metrics


def init_app(app: Flask) -> None:
    limiter.init_app(app)
    limiter.exempt(metrics.bp)


# A twentieth of a delivery's CPU was to find out that it has no limit (docs/performance.md).
limiter.request_filter(is_qstash_endpoint)


def limited(blueprint: Blueprint, *, known_as: Callable[[], str | None]) -> Blueprint:
    """Limit the requests to a blueprint's endpoints, and the unsuccessful ones.

    Args:
        blueprint: All of its endpoints share one limit with those of other limited blueprints.
        known_as: Names the caller that the current request counts for: the holder of a valid key or
            link, not others at its address. None is a stranger, counted by address.
    """

    def known() -> str | None:
        try:
            return known_as()
        except DatabaseUnavailable:  # the caller is unknown then; the view reports it
            return None

    limiter.shared_limit(_rate, scope="api", key_func=lambda: known() or get_remote_address())(
        blueprint
    )
    limiter.shared_limit(
        _rate_of_failures,
        scope="api failures",
        exempt_when=lambda: known() is not None,
        deduct_when=_has_failed,
    )(blueprint)
    return blueprint


def _rate() -> str:
    """Return the limit for one key, or without a key for one address."""
    return str(current_app.config["API_RATE_LIMIT"])


def _rate_of_failures() -> str:
    """Return the limit for one address without a valid key or link."""
    return str(current_app.config["API_FAILURE_LIMIT"])


def _has_failed(response: Response) -> bool:
    return response.status_code in {401, 403}
