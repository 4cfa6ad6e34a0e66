"""For those who run the app: the probes that machines ask, and how the jobs are."""

from flask import Flask

from app.admin import job_health, probes


def init_app(app: Flask) -> None:
    app.register_blueprint(probes.bp)
    app.register_blueprint(job_health.bp)
