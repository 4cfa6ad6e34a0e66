"""An app that somebody has: a factory, UUID keys, a history of its own, CSRF protection."""

import os
from uuid import uuid4

from flask import Flask
from flask_migrate import Migrate
from flask_qstash_jobs import Jobs, metrics
from flask_qstash_jobs.dashboard import Dashboard
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from greetings import bp

db = SQLAlchemy()
csrf = CSRFProtect()
jobs = Jobs()


class User(db.Model):
    id = db.mapped_column(db.Uuid, primary_key=True, default=uuid4)
    greeted = db.mapped_column(db.String(40), default="", nullable=False)


def create_app(**config: object) -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "of the shop, long and secret enough"
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config.update(config)
    db.init_app(app)
    Migrate(app, db)
    jobs.init_app(app, db, families="families")
    metrics.init_app(app)
    app.register_blueprint(bp)
    Dashboard(app)
    csrf.init_app(app)  # after the jobs, whose views it has to leave alone nevertheless
    return app
