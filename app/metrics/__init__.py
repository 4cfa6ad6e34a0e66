"""Metrics for Prometheus: counters of this app's processes, and the number of waiting jobs."""

from flask import Flask

from app.jobs.events import observe
from app.metrics import counting, endpoint


def init_app(app: Flask) -> None:
    app.register_blueprint(endpoint.bp)
    app.before_request(counting.start)
    observe(app, counting.count)
