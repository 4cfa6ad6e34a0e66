"""Add the extension to `host`, and run a job: by itself, as another process than the tests'."""

import sys
import threading

# Any `import app` of the extension's fails, as in an app that is not called so.
sys.modules["app"] = None  # type: ignore[assignment]

from flask import Flask  # noqa: E402
from flask_qstash_jobs import enqueue, migrations  # noqa: E402
from flask_qstash_jobs.local_qstash.testing import LocalQStash  # noqa: E402
from flask_qstash_jobs.testing import wait_for  # noqa: E402
from host import User, bp, create_app, db  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def main(database_url: str) -> None:
    with LocalQStash(speed=100) as qstash:
        server = make_server("127.0.0.1", 0, None, threaded=True)
        app = server.app = create_app(
            SQLALCHEMY_DATABASE_URI=database_url,
            BASE_URL=f"http://127.0.0.1:{server.server_port}",
            QSTASH_URL=qstash.url,
            QSTASH_TOKEN=qstash.token,
            QSTASH_CURRENT_SIGNING_KEY=qstash.current_signing_key,
            QSTASH_NEXT_SIGNING_KEY=qstash.next_signing_key,
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with app.app_context():
                use()
                command(app, "list")
                command(app, "doctor", "--only", "database", "--only", "migrations")
                command(app, "doctor", "--only", "probe")
        finally:
            server.shutdown()
            thread.join()


def use() -> None:
    db.create_all()
    with db.engine.begin() as connection:
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
    assert bp.job_types


def command(app: Flask, *args: str) -> None:
    result = app.test_cli_runner().invoke(args=["jobs", *args])
    assert result.exit_code == 0, (args, result.output)


main(sys.argv[1])
