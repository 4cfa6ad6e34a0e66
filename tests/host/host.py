"""An app that somebody has, with the extension added; it knows nothing of this repository."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from flask import Flask
from flask_qstash_jobs import Job, JobBlueprint, Jobs, PayloadSchema
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields

db = SQLAlchemy()
bp = JobBlueprint("mail", __name__)


class User(db.Model):
    id = db.mapped_column(db.Uuid, primary_key=True, default=uuid4)
    greeted = db.mapped_column(db.String)
    # As it is deferred, only the commit of a handler's work fails.
    __table_args__ = (db.UniqueConstraint("greeted", deferrable=True, initially="DEFERRED"),)


@dataclass
class Greeting:
    text: str


class Greet(PayloadSchema[Greeting]):
    model = Greeting
    text = fields.String(required=True)


@bp.job("greet", "/greet", payload=Greet)
def greet(payload: Greeting, job: Job) -> None:
    user = db.session.get(User, UUID(str(job.user_id)))
    if payload.text == "again" and job.attempt == 1:
        raise RuntimeError("not yet")
    user.greeted = payload.text


def create_app(**config: object) -> Flask:
    app = Flask(__name__)
    app.config.update(SECRET_KEY="x" * 40, JOBS_ID_TYPE="uuid", **config)
    db.init_app(app)
    Jobs(app, db)
    app.register_blueprint(bp)
    return app
