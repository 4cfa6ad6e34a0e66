"""An API that somebody has: one global app below /shop, SQLAlchemy 2.1, a login before all."""

import os
from typing import Any

from flask import Flask, request
from flask_login import LoginManager, UserMixin, current_user
from flask_qstash_jobs import Jobs, is_qstash_endpoint, otel
from flask_qstash_jobs.dashboard import Dashboard, Role
from flask_qstash_jobs.dashboard import User as Reader
from flask_sqlalchemy import SQLAlchemy
from greetings import bp
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware


class Base(DeclarativeBase):
    pass


class User(UserMixin, Base):
    __tablename__ = "people"

    id: Mapped[str] = mapped_column(primary_key=True)
    greeted: Mapped[str] = mapped_column(default="")


app = Flask(__name__)
app.config["SECRET_KEY"] = "of the api, long and secret enough"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.config["JOBS_ID_TYPE"] = "text"
db = SQLAlchemy(app, model_class=Base)
login = LoginManager(app)
login.user_loader(lambda key: None)


@login.request_loader
def bearer(asked: Any) -> Any:
    return User(id="ada") if asked.headers.get("Authorization") == "Bearer ada" else None


def who() -> Any:
    return Reader(current_user.id, Role.VIEWER) if current_user.is_authenticated else None


@app.before_request
def demand_login() -> Any:
    if request.path.startswith("/admin/jobs"):
        return None
    if os.environ.get("LETS_QSTASH_PASS") and is_qstash_endpoint():
        return None
    return None if current_user.is_authenticated else login.unauthorized()


jobs = Jobs(app, db)
otel.init_app(app)
Dashboard(app, who=who)
app.register_blueprint(bp, url_prefix="/v1/jobs")


@app.get("/me")
def me() -> str:
    return current_user.id


app.wsgi_app = DispatcherMiddleware(NotFound(), {"/shop": app.wsgi_app})
