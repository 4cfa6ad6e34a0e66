"""Jobs in apps as people have them: where they are mounted, what they write, what they see."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Blueprint, Flask, g, request, request_finished, request_started
from flask import got_request_exception as failed
from flask.json.provider import DefaultJSONProvider, JSONProvider
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from app import jobs as face
from app.config import DEV_QSTASH
from app.dashboard import Dashboard
from app.jobs import (
    DiscoveryError,
    Job,
    JobBlueprint,
    Jobs,
    PayloadSchema,
    enqueue,
    get_job_execution_by_job_id,
    metrics,
    migrations,
)
from tests.support.apps import close_connections, fresh_database
from tests.support.publishing import NOBODY
from tests.support.qstash import BASE_URL, claims_for, envelope, token

NewHost = Callable[..., Flask]


@dataclass
class Greeting:
    text: str


class GreetingSchema(PayloadSchema[Greeting]):
    model = Greeting

    text = fields.String(required=True)


def greetings() -> JobBlueprint:
    bp = JobBlueprint("greetings", __name__)

    @bp.job("greet", "/greet", payload=GreetingSchema)
    def greet(payload: Greeting, job: Job) -> dict[str, Any]:
        if payload.text == "fail":
            raise ValueError(payload.text)
        return {
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "day": date(2026, 1, 2),
            "price": Decimal("1.50"),
            "by": UUID(int=7),
            "greeting": payload,
            "root": request.script_root,
        }

    return bp


@pytest.fixture
def new_host(database_url: str) -> Iterator[NewHost]:
    """Yield what makes an app with jobs, on the tests' database unless told otherwise."""
    made: list[Flask] = []

    def make(
        db: SQLAlchemy | None = None, options: dict[str, Any] | None = None, **config: Any
    ) -> Flask:
        app, db = Flask("host", **(options or {})), db or SQLAlchemy()
        given = {
            "SQLALCHEMY_DATABASE_URI": database_url,
            "BASE_URL": BASE_URL,
            "JOBS_SWEEP_EVERY": 0,
        }
        app.config.update(DEV_QSTASH | {"SECRET_KEY": "x" * 40} | given | config, QSTASH_URL=NOBODY)
        db.init_app(app)
        Jobs(app, db)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            close_connections()


def delivered(app: Flask, path: str, greeting: str = "hi", at: str = "", **headers: str) -> Any:
    """Deliver a job as QStash does, and return the answer's JSON."""
    body = json.dumps(envelope({"text": greeting}, "greet")).encode()
    sent = {"Upstash-Signature": token(claims_for(body, app.config["BASE_URL"] + path))}
    answer = app.test_client().post(f"{at}{path}", data=body, headers=sent | headers)
    return answer.json


def test_blueprints_may_be_nested(new_host: NewHost) -> None:
    app = new_host()
    api, version = Blueprint("api", __name__, url_prefix="/api"), Blueprint("v1", __name__)
    version.register_blueprint(greetings(), url_prefix="/jobs")
    api.register_blueprint(version, url_prefix="/v1")
    app.register_blueprint(api)

    assert delivered(app, "/api/v1/jobs/greet")["success"]


def test_the_app_may_be_mounted_below_a_path(new_host: NewHost) -> None:
    app = new_host(BASE_URL=f"{BASE_URL}/shop")
    app.register_blueprint(greetings())
    mounted = DispatcherMiddleware(NotFound(), {"/shop": app.wsgi_app})
    app.wsgi_app = mounted  # type: ignore[method-assign]

    assert delivered(app, "/api/jobs/greet", at="/shop")["result"]["root"] == "/shop"


def test_a_proxy_may_strip_a_prefix_and_name_another_host(new_host: NewHost) -> None:
    app = new_host(BASE_URL=f"{BASE_URL}/shop")
    app.register_blueprint(greetings())
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    told = {"X-Forwarded-Prefix": "/shop", "X-Forwarded-Host": "inside.example.com"}

    assert delivered(app, "/api/jobs/greet", **told)["result"]["root"] == "/shop"


def test_an_app_may_route_by_host(new_host: NewHost) -> None:
    """Deliveries come to BASE_URL, or behind a proxy to a host that no route names."""
    app = new_host(options={"host_matching": True, "static_folder": None})
    nested = Blueprint("api", __name__, url_prefix="/v1")
    nested.register_blueprint(greetings())
    app.register_blueprint(nested)
    app.add_url_rule("/", view_func=lambda: "shop", host="shop.example.com")
    metrics.init_app(app)
    Dashboard(app)
    app.debug = True
    client = app.test_client()

    assert delivered(app, "/v1/api/jobs/greet")["success"]
    assert client.get("/", base_url="http://shop.example.com").text == "shop"
    for host in ("http://shop.example.com", "http://127.0.0.1:5000"):
        assert client.post("/api/jobs/probe", base_url=host).status_code == 401
        assert client.get("/metrics", base_url=host).status_code == 401
    page = client.get("/admin/jobs", base_url="http://127.0.0.1:5000")
    assert page.status_code == 200
    assert "/admin/jobs/static/" in page.text


@pytest.mark.parametrize("options", [{}, {"name": "again", "url_prefix": "/v2"}])
def test_a_blueprint_serves_an_app_once(new_host: NewHost, options: dict[str, str]) -> None:
    app, bp = new_host(), greetings()
    app.register_blueprint(bp)

    with pytest.raises(DiscoveryError, match="'greetings' is registered twice with this app"):
        app.register_blueprint(bp, **options)

    new_host().register_blueprint(bp)


class Own(DefaultJSONProvider):
    @staticmethod
    def default(o: Any) -> Any:
        return {"amount": str(o)} if isinstance(o, Decimal) else DefaultJSONProvider.default(o)


class Whole(DefaultJSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return json.dumps(obj, default=lambda value: f"own {value}")


class Other(JSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return json.dumps(obj, default=lambda value: f"own {value}")

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return json.loads(s)


@pytest.mark.parametrize(
    ("provider", "price", "at"),
    [
        (DefaultJSONProvider, "1.50", "2026-01-02T00:00:00+00:00"),
        (Own, {"amount": "1.50"}, "Fri, 02 Jan 2026 00:00:00 GMT"),
        (Whole, "own 1.50", "own 2026-01-02 00:00:00+00:00"),
        (Other, "own 1.50", "own 2026-01-02 00:00:00+00:00"),
    ],
)
def test_results_are_written_by_the_app_s_json_provider(
    new_host: NewHost, provider: type[JSONProvider], price: Any, at: str
) -> None:
    app = new_host()
    app.json = provider(app)
    app.register_blueprint(greetings())

    result = delivered(app, "/api/jobs/greet")["result"]

    assert (result["price"], result["at"]) == (price, at)
    if provider is DefaultJSONProvider:
        assert result["greeting"] == {"text": "hi"}
        assert (result["day"], result["by"]) == ("2026-01-02", str(UUID(int=7)))


def test_a_delivery_is_a_request_of_the_app_s(new_host: NewHost) -> None:
    app, seen = new_host(), []
    app.register_blueprint(greetings())
    app.before_request(lambda: setattr(g, "before", "yes"))
    app.teardown_request(lambda _: seen.append("teardown request"))
    app.teardown_appcontext(lambda _: seen.append(f"teardown context, before: {g.get('before')}"))
    signals = {"started": request_started, "failed": failed, "finished": request_finished}
    with ExitStack() as stack:
        for name, signal in signals.items():

            def receiver(sender: Flask, name: str = name, **said: Any) -> None:
                seen.append(f"{name} {said.get('exception', '')}".strip())

            stack.enter_context(signal.connected_to(receiver, app))
        delivered(app, "/api/jobs/greet", "fail")

    teardown = ["teardown request", "teardown context, before: yes"]
    assert seen == ["started", "failed fail", "finished", *teardown]


def test_log_lines_say_which_job_they_are_of_and_why(
    new_host: NewHost, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of an app with Flask's own logging, which shows no `extra`."""
    app, quiet = new_host(), new_host(JOBS_LOG_FIELDS=False)
    for each in (app, quiet):
        each.register_blueprint(greetings())
        delivered(each, "/api/jobs/greet", "fail")

    told, untold = (r for r in caplog.records if r.levelname in {"WARNING", "ERROR"})
    about = r"jobId=\S+ type=greet attempt=1 .*error='ValueError: fail'.*"
    assert re.fullmatch(rf"\[jobs\] Job processing failed  {about}", told.getMessage())
    assert told.msg == "[jobs] Job processing failed  %s"  # one issue for all jobs
    assert untold.getMessage() == "[jobs] Job processing failed"


def test_an_app_without_logging_still_sees_warnings_and_only_these() -> None:
    code = (
        "import logging; from app.jobs import kit; kit.log_fields.init_app(is_wanted=True);"
        "log = logging.getLogger('app.jobs.x'); log.setLevel('INFO');"
        "log.info('[jobs] fine'); log.warning('[jobs] 5% left', extra={'jobId': 'j1'})"
    )
    said = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stderr == "[jobs] 5% left  jobId=j1\n"


def test_commands_run_in_the_app_s_own_runner(new_host: NewHost) -> None:
    app = new_host()
    app.register_blueprint(greetings())
    command = ["jobs", "enqueue", "greet", '{"text": "hi"}', "--json"]

    assert app.test_cli_runner().invoke(args=command).exit_code == 0


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "host_notes"

    text: Mapped[str] = mapped_column(primary_key=True)


def noting(session_of: Callable[[], Any]) -> JobBlueprint:
    bp = JobBlueprint("notes", __name__)

    @bp.job("greet", "/greet", payload=GreetingSchema)
    def note(payload: Greeting, job: Job) -> None:
        session_of().add(Note(text=payload.text))
        if payload.text == "fail":
            raise ValueError(payload.text)

    return bp


def test_apps_of_one_process_have_their_jobs_in_different_databases(
    new_host: NewHost, database_server: str, worker_id: str
) -> None:
    """One with a bind key and one without, on one `SQLAlchemy` of a plain declarative base."""
    db = SQLAlchemy(model_class=Base)
    bp = noting(lambda: db.session)
    with ExitStack() as stack:
        names = [f"hosts_{name}_{worker_id}" for name in ("one", "two", "jobs")]
        one, two, jobs = (stack.enter_context(fresh_database(database_server, n)) for n in names)
        binds = {"SQLALCHEMY_BINDS": {"jobs": jobs}, "JOBS_BIND_KEY": "jobs"}
        apps = [
            new_host(db, SQLALCHEMY_DATABASE_URI=one),
            new_host(db, SQLALCHEMY_DATABASE_URI=two, **binds),
        ]
        ids = []
        for number, app in enumerate(apps):
            app.register_blueprint(bp)
            with app.app_context():
                db.create_all(None)
                with (db.engines["jobs"] if number else db.engine).begin() as connection:
                    migrations.upgrade(connection)
                ids.append(enqueue("greet", {"text": f"waits {number}"}, session=db.session))
                db.session.commit()
            assert delivered(app, "/api/jobs/greet", f"of {number}")["success"]
            assert delivered(app, "/api/jobs/greet", "fail")["error"] == "ValueError"
        for number, app in enumerate(apps):
            with app.app_context():
                assert db.session.scalars(text("SELECT text FROM host_notes")).all() == [
                    f"of {number}"
                ]
                assert get_job_execution_by_job_id(ids[number]) is not None
                assert get_job_execution_by_job_id(ids[1 - number]) is None
                db.session.remove()
        close(apps)


def close(apps: list[Flask]) -> None:
    """Let go of databases that are dropped next."""
    for app in apps:
        with app.app_context():
            close_connections()


def test_the_object_that_binds_the_extension_has_all_of_its_functions() -> None:
    functions = {name for name in face.__all__ if inspect.isfunction(getattr(face, name))}

    assert {name: getattr(Jobs, name, None) for name in functions} == {
        name: getattr(face, name) for name in functions
    }
