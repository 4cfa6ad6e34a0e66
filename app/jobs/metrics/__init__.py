"""Metrics for Prometheus, with the extra `metrics`: `metrics.init_app(app)`.

Counters of the processes that serve requests, and the number of waiting jobs.
"""

from importlib.util import find_spec

from flask import Flask

from ..errors import JobsNotInitialised
from ..events import observe
from . import counting
from .endpoint import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask, *, path: str = "/metrics") -> None:
    """Count this app's jobs from now on, and answer scrapes; call it after `Jobs.init_app`.

    Reads from `app.config`, or from the environment:
        JOBS_METRICS_TOKEN: What a scraper sends as `Authorization: Bearer …`.
        JOBS_METRICS_OPEN: Whether anybody may scrape where there is no token.

    Args:
        app: The app.
        path: Where Prometheus scrapes it, with a slash at the beginning.

    Raises:
        ImportError: prometheus-client is missing.
        JobsNotInitialised: The app has no jobs yet, or a view of its own at the path.
    """
    if find_spec("prometheus_client") is None:
        said = "the extra `metrics` is missing: pip install 'flask-qstash-jobs[metrics]'"
        raise ImportError(said)
    _refuse(app, path)
    observe(app, counting.count)
    app.register_blueprint(bp, url_prefix=path)
    app.before_request(counting.start)


def _refuse(app: Flask, path: str) -> None:
    if not path.startswith("/") or path == "/":
        raise JobsNotInitialised(f'metrics: path is {path!r}: write it like "/metrics"')
    taken = next((rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == path), None)
    if taken is not None:
        raise JobsNotInitialised(
            f"metrics: {path} is served by {taken} already: call metrics.init_app once, or with "
            'another path="/…"'
        )
