"""How often strangers may ask: limits of all endpoints that are neither QStash's nor probes.

Webhooks have a limit of their own. What QStash calls is refused by its signature alone: a limit
would turn deliveries away.
"""

from flask import Flask, Response, current_app
from flask_limiter.util import get_remote_address

from app.admin import job_health
from app.api import access, job, jobs, openapi
from app.api.keys import Key
from app.artifacts import routes
from app.extensions import limiter
from app.jobs import DatabaseUnavailable, status

LIMITED = (jobs.bp, job.bp, openapi.bp, status.bp, routes.bp, job_health.bp)


def init_app(app: Flask) -> None:
    limiter.init_app(app)


def rate() -> str:
    """Return how often one key may ask, or without a key one address."""
    return str(current_app.config["API_RATE_LIMIT"])


def rate_of_failures() -> str:
    """Return how often one address may come without a good key or link."""
    return str(current_app.config["API_FAILURE_LIMIT"])


def counted_for() -> str:
    """Name whom a request counts for."""
    key = _caller()
    return get_remote_address() if key is None else f"key {key.id}"


def is_known() -> bool:
    """Tell whether the failures of others at the same address should not matter."""
    return _caller() is not None


def failed(response: Response) -> bool:
    return response.status_code in {401, 403}


def _caller() -> Key | None:
    """Return the caller's key; without a database nobody is known, which the view will say."""
    try:
        return access.caller()
    except DatabaseUnavailable:
        return None


for blueprint in LIMITED:
    limiter.shared_limit(rate, scope="api", key_func=counted_for)(blueprint)
    limiter.shared_limit(
        rate_of_failures, scope="api failures", exempt_when=is_known, deduct_when=failed
    )(blueprint)
