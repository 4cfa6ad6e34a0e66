"""For those who run the app: the probes that machines ask, and how the jobs are."""

from flask import Flask

from app.admin import doctor, views


def init_app(app: Flask) -> None:
    app.register_blueprint(doctor.bp)
    app.register_blueprint(views.probes_bp)
    app.register_blueprint(views.health_bp)
