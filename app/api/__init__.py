"""The job API: jobs over HTTP, for callers with an API key.

`keys` identifies callers, `access` authorizes them, `jobs` has the endpoints, `openapi` describes
them.
"""

from flask import Flask

from app.api import batches, cli, job, jobs, openapi, pauses
from app.jobs import DiscoveryError, register_batch_viewer, register_viewer
from app.jobs.kit import registry_of

__all__ = ["cli", "init_app"]

_OURS = (jobs.bp, job.bp, pauses.bp, batches.bp, batches.signals, openapi.bp)


def init_app(app: Flask) -> None:
    """Add the API, after the job families, whose endpoints must differ from its own.

    Raises:
        DiscoveryError: A job type has the path of another endpoint.
    """
    for blueprint in _OURS:
        app.register_blueprint(blueprint)
    register_viewer(app, job.seen_by_key)
    register_batch_viewer(app, batches.seen_by_key)
    _refuse_collisions(app)


def _refuse_collisions(app: Flask) -> None:
    """Otherwise a job type's deliveries would go to whichever endpoint was registered first."""
    rules = [rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    for config in registry_of(app):
        if rules.count(config.endpoint) > 1:
            raise DiscoveryError(
                f"{config.endpoint} is taken: give job type {config.type!r} another path"
            )
