"""What a worker of gunicorn's has in memory: nothing that only some jobs need, and shared pages."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dev.reaper import ROOT
from tests.support.apps import settings
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

#: Needed by some jobs, some commands or some settings.
HEAVY = {
    *("aiohttp", "alembic", "boto3", "css_inline", "flask_migrate", "httpx", "opentelemetry"),
    *("prometheus_client", "psycopg2", "pyarrow", "qstash", "redis", "resend", "sentry_sdk"),
    *("stripe", "typst", "xlsxwriter"),
}

# An app that has used its database and QStash before the workers are forked.
APP = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from app.jobs import Jobs

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
Jobs(app, db)
publisher = app.extensions["jobs"].publisher

def found():
    backend = db.session.scalar(db.text("SELECT pg_backend_pid()"))
    return {"process": os.getpid(), "backend": backend, "client": id(client())}

def client():
    return publisher.call(lambda qstash: qstash)

with app.app_context():
    master, kept = found(), client()

@app.get("/")
def ask():
    return {**found(), "master": master, "frozen": __import__("gc").get_freeze_count()}
"""


def test_the_app_starts_without_what_only_some_jobs_need(database_url: str) -> None:
    code = f"""
import sys
from app import create_app
create_app({settings(database_url)!r})
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "sqlalchemy" in loaded
    assert loaded & HEAVY == set()


@pytest.fixture
def url(tmp_path: Path, database_url: str) -> Iterator[str]:
    """Run two workers of an app that was loaded before they were forked."""
    (tmp_path / "wsgi.py").write_text(APP)
    port = reserved_port()
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "APP_ENV": "test",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "GUNICORN_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "BASE_URL": "http://127.0.0.1",
        "QSTASH_TOKEN": "t",
        "QSTASH_CURRENT_SIGNING_KEY": "c",
        "QSTASH_NEXT_SIGNING_KEY": "n",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)  # noqa: S603 - our own
    wait_until(lambda: "Booting worker" in (tmp_path / "log").read_text(), "a start")
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(60)


def test_workers_share_pages_and_no_connection(url: str) -> None:
    found: dict[int, dict[str, Any]] = {}

    def ask() -> bool:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            told = json.loads(answer.read())
        found[told["process"]] = told
        return len(found) == 2

    wait_until(ask, "both workers to answer")
    workers = list(found.values())
    master = workers[0]["master"]
    assert len({master["backend"], *(told["backend"] for told in workers)}) == 3
    assert all(told["client"] != master["client"] for told in workers)
    assert all(told["frozen"] > 10_000 for told in workers)
