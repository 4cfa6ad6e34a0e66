"""Add the extension to `host`, and run a job: by itself, as another process than the tests'."""

import os
import sys
import threading

# Any `import app` of the extension's fails, as in an app that is not called so.
sys.modules["app"] = None  # type: ignore[assignment]

from flask import Flask  # noqa: E402
from flask_qstash_jobs import enqueue, migrations  # noqa: E402
from flask_qstash_jobs.local_qstash.testing import LocalQStash  # noqa: E402
from flask_qstash_jobs.testing import wait_for  # noqa: E402
from host import User, create_app, db  # noqa: E402
from sqlalchemy import inspect  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def main(database_url: str, jobs_url: str | None = None) -> None:
    binds = {"SQLALCHEMY_BINDS": {"jobs": jobs_url}, "JOBS_BIND_KEY": "jobs"} if jobs_url else {}
    with LocalQStash(speed=100) as qstash:
        server = make_server("127.0.0.1", 0, None, threaded=True)
        app = server.app = create_app(
            SQLALCHEMY_DATABASE_URI=database_url,
            BASE_URL=f"http://127.0.0.1:{server.server_port}",
            QSTASH_URL=qstash.url,
            QSTASH_TOKEN=qstash.token,
            QSTASH_CURRENT_SIGNING_KEY=qstash.current_signing_key,
            QSTASH_NEXT_SIGNING_KEY=qstash.next_signing_key,
            JOBS_SCHEMA=os.environ["SCHEMA"],
            **binds,
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with app.app_context():
                use()
                command(app, "list")
                command(app, "doctor", "--only", "schema")
                command(app, "doctor", "--only", "probe")
        finally:
            server.shutdown()
            thread.join()


def use() -> None:
    db.create_all()
    jobs_engine = db.engines.get("jobs", db.engine)
    with jobs_engine.begin() as connection:
        migrations.upgrade(connection)
    assert not db.metadata.tables.keys() & migrations.metadata.tables.keys()
    users = [User() for _ in range(2)]
    db.session.add_all(users)
    db.session.flush()
    jobs = [
        enqueue("greet", {"text": text}, user_id=user.id, session=db.session)
        for text, user in zip(("hello", "again"), users, strict=True)
    ]
    db.session.commit()
    for job_id in jobs:
        assert wait_for(job_id).status == "completed", job_id
    db.session.expire_all()
    assert [user.greeted for user in users] == ["hello", "again"]
    late = User()
    db.session.add(late)
    db.session.flush()
    failing = enqueue("greet", {"text": "hello"}, user_id=late.id, retries=0, session=db.session)
    db.session.commit()
    assert wait_for(failing, "failed").dead_at
    db.session.expire_all()
    assert late.greeted is None
    schema = os.environ["SCHEMA"] or "public"
    there = inspect(db.engine).get_table_names(schema)
    assert ("job_executions" in there) == (jobs_engine is db.engine)


def command(app: Flask, *args: str) -> None:
    result = app.test_cli_runner().invoke(args=["jobs", *args])
    assert result.exit_code == 0, (args, result.output)


main(*sys.argv[1:])
