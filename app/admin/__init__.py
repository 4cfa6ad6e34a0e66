"""For operators: the dashboard, probes for machines, and the health of the jobs."""

from flask import Flask

from app import screens
from app.admin import doctor, export, views
from app.dashboard import Dashboard


def init_app(app: Flask) -> None:
    dashboard = Dashboard()
    screens.add_to(dashboard, app)
    dashboard.init_app(app, export=export.export_jobs)
    app.register_blueprint(doctor.bp)
    app.register_blueprint(views.probes_bp)
    app.register_blueprint(views.health_bp)
    if app.config["APP_ENV"] == "development":
        app.register_blueprint(views.home_bp)
