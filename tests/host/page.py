"""Serve the app of a page of the docs, and do what the page does: as a process of its own.

    python page.py DATABASE_URL PREFIX CURL…

Exits with 0 if each request is answered well, and each job that they enqueue completes.
"""

import os
import shlex
import subprocess
import sys
import threading

from flask import Flask
from flask.cli import ScriptInfo
from flask_qstash_jobs import JobExecution, migrations
from flask_qstash_jobs.local_qstash.testing import LocalQStash
from flask_qstash_jobs.testing import wait_for
from sqlalchemy import select
from werkzeug.serving import make_server


def main(database_url: str, prefix: str, *commands: str) -> None:
    server = make_server("127.0.0.1", 0, None, threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    with LocalQStash(speed=100) as qstash:
        os.environ |= {
            "DATABASE_URL": database_url,
            "BASE_URL": address + prefix,
            "QSTASH_URL": qstash.url,
            "QSTASH_TOKEN": qstash.token,
            "QSTASH_CURRENT_SIGNING_KEY": qstash.current_signing_key,
            "QSTASH_NEXT_SIGNING_KEY": qstash.next_signing_key,
            "JOBS_SWEEP_EVERY": "0",
        }
        app = server.app = ScriptInfo(os.environ["FLASK_APP"]).load_app()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with app.app_context():
                use(app, [one.replace("http://127.0.0.1:5000", address) for one in commands])
        finally:
            server.shutdown()
            thread.join()


def use(app: Flask, commands: list[str]) -> None:
    db = app.extensions["sqlalchemy"]
    with db.engine.begin() as connection:
        migrations.upgrade(connection)
    db.create_all()
    for command in commands:
        subprocess.run([*shlex.split(command), "--fail", "-sS"], check=True)  # noqa: S603 - the page's
    jobs = db.session.scalars(select(JobExecution.job_id)).all()
    assert len(jobs) == len(commands), jobs
    for job_id in jobs:
        row = wait_for(job_id)
        assert row.status == "completed", row


main(*sys.argv[1:])
