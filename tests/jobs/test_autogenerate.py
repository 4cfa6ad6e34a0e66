"""`flask db migrate` in a host: it sees the host's tables, and not those of jobs."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import make_url

from app.db import db
from app.jobs import migrations
from tests.support.apps import execute, fresh_database

ROOT = Path(__file__).parent.parent.parent
HOST = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from app.jobs import Jobs

app = Flask(__name__)
app.config.update(
    SQLALCHEMY_DATABASE_URI=os.environ["URL"],
    SECRET_KEY="x" * 40,
    BASE_URL="https://host.example.com",
    QSTASH_TOKEN="token",
    QSTASH_CURRENT_SIGNING_KEY="sig_1",
    QSTASH_NEXT_SIGNING_KEY="sig_2",
    JOBS_SCHEMA=os.environ["SCHEMA"],
)
db = SQLAlchemy(app)


class Added(db.Model):
    id = db.mapped_column(db.Integer, primary_key=True)


def leave_out(object_, name, *_):
    return name != "left_out"


"""
MIGRATE = "Migrate(app, db, include_object=leave_out)\n"
JOBS = "Jobs(app, db)\n"
#: Runs commands of `flask db`.
IN_ONE_PROCESS = """
import sys
from flask_migrate.cli import db
from host import app

for command in sys.argv[1:]:
    with app.app_context():
        db.main([command], standalone_mode=False)
"""


@pytest.mark.parametrize(
    ("order", "schema"), [(MIGRATE + JOBS, ""), (JOBS + MIGRATE, "jobs")], ids=["before", "after"]
)
def test_a_host_sees_all_changes_of_its_own_tables(
    database_server: str, tmp_path: Path, order: str, schema: str
) -> None:
    (tmp_path / "host.py").write_text(HOST + order)
    with fresh_database(database_server, f"autogenerate_{os.getpid()}") as url:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{ROOT}"}

        def python(*args: str) -> None:
            subprocess.run(  # noqa: S603 - our own program
                [sys.executable, *args],
                cwd=tmp_path,
                env={**env, "URL": url, "SCHEMA": schema},
                check=True,
                capture_output=True,
            )

        python("-m", "flask", "--app", "host", "jobs", "db", "upgrade")
        # Tables of models that the host has no more; one is called as ours in another schema.
        dropped = ["dropped", *(["job_audit"] if schema else [])]
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        for table in (*dropped, "left_out"):
            execute(plain, f"CREATE TABLE {table} (id int)")
        python("-c", IN_ONE_PROCESS, "init", "migrate", "upgrade")

        (written,) = (tmp_path / "migrations/versions").glob("*.py")
        upgrade = written.read_text().partition("def upgrade")[2].partition("def downgrade")[0]
        assert "create_table('added'" in upgrade
        for table in (*migrations.metadata.tables, migrations.VERSION_TABLE, *dropped, "left_out"):
            assert (f"drop_table('{table}')" in upgrade) == (table in dropped), table

        with psycopg.connect(plain) as connection:
            place = f"{schema or 'public'}.job_executions"
            found = connection.execute("SELECT to_regclass(%s)::text", [place]).fetchone()
            assert found == (place if schema else "job_executions",)


def test_the_line_for_another_env_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(app.extensions, "migrate")
    assert migrations.line_to_add() is None

    env = Path("alembic/env.py")
    env.parent.mkdir()
    env.write_text("context.configure(connection=connection)")
    line = str(migrations.line_to_add())
    assert line.startswith("in alembic/env.py, add `include_object=migrations.include_obj")
    assert line.endswith("with `from app.jobs import migrations`")

    env.write_text("context.configure(include_object=migrations.include_object)")
    assert migrations.line_to_add() is None


def test_the_templates_of_flask_migrate_need_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    monkeypatch.chdir(tmp_path)
    Migrate(app, db, "history")
    Path("history").mkdir()
    template = Path(sys.modules["flask_migrate"].__path__[0], "templates/flask/env.py")
    Path("history/env.py").write_text(template.read_text())

    assert migrations.line_to_add() is None
