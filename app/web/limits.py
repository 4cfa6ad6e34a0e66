"""How often strangers may ask: a blueprint that they reach says so where it is made.

    bp = limited(Blueprint("job_api", __name__), known_as=access.caller_name)

Webhooks have a limit of their own, and probes none. What QStash calls is refused by its signature
alone: a limit would turn deliveries away.
"""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app
from flask_limiter.util import get_remote_address

from app.extensions import limiter
from app.jobs import DatabaseUnavailable


def init_app(app: Flask) -> None:
    limiter.init_app(app)


def limited(blueprint: Blueprint, *, known_as: Callable[[], str | None]) -> Blueprint:
    """Limit how often the endpoints of a blueprint may be asked, and how often without success.

    Args:
        blueprint: All of its endpoints share one limit with those of other limited blueprints.
        known_as: Names whom the current request counts for: who has a good key or link, not others
            at its address. None is a stranger, whose failures count for the address.
    """

    def known() -> str | None:
        try:
            return known_as()
        except DatabaseUnavailable:  # nobody is known then, which the view will say
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
    """Return how often one key may ask, or without a key one address."""
    return str(current_app.config["API_RATE_LIMIT"])


def _rate_of_failures() -> str:
    """Return how often one address may come without a good key or link."""
    return str(current_app.config["API_FAILURE_LIMIT"])


def _has_failed(response: Response) -> bool:
    return response.status_code in {401, 403}
