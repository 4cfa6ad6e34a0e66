"""How often strangers may ask: limits of all endpoints that are neither QStash's nor probes.

Webhooks have a limit of their own. What QStash calls is refused by its signature alone: a limit
would turn deliveries away.
"""

from flask import Flask, Response, current_app, request
from flask_limiter.util import get_remote_address

from app.admin import access as admin_access
from app.admin import job_health
from app.api import access, job, jobs, openapi
from app.api.keys import Key
from app.artifacts import links, routes
from app.extensions import limiter
from app.jobs import DatabaseUnavailable
from app.jobs.operate import status_link

LIMITED = (jobs.bp, job.bp, openapi.bp, status_link.bp, routes.bp, job_health.bp)


def init_app(app: Flask) -> None:
    limiter.init_app(app)


def rate() -> str:
    """Return how often one key may ask, or without a key one address."""
    return str(current_app.config["API_RATE_LIMIT"])


def rate_of_failures() -> str:
    """Return how often one address may come without a good key or link."""
    return str(current_app.config["API_FAILURE_LIMIT"])


def counted_for() -> str:
    """Name whom a request counts for: who has a key or a link, not others at its address."""
    key = _caller()
    if key is not None:
        return f"key {key.id}"
    return _link() or ("an operator" if _is_admin() else get_remote_address())


def is_known() -> bool:
    """Tell whether the failures of others at the same address should not matter."""
    return _caller() is not None or _link() is not None or _is_admin()


def _is_admin() -> bool:
    if request.endpoint != "job_health.job_health":
        return False
    try:
        return admin_access.is_allowed()
    except DatabaseUnavailable:
        return False


def _link() -> str | None:
    """Name what the request has a good link for."""
    given = request.view_args or {}
    if request.endpoint == "job_status.job_status" and status_link.has_link(str(given["job_id"])):
        return f"job {given['job_id']}"
    if request.endpoint == "artifacts.download":
        artifact = links.opened(given["token"])
        return None if artifact is None else f"file {artifact}"
    return None


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
