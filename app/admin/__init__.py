"""For operators: probes for machines, and the health of the jobs."""

from flask import Flask

from app.admin import doctor, views


def init_app(app: Flask) -> None:
    app.register_blueprint(doctor.bp)
    app.register_blueprint(views.probes_bp)
    app.register_blueprint(views.health_bp)
