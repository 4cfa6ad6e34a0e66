"""What `benchmarks/jobs.py` measures, run with the code of this build or of another checkout.

    python one_build.py              # operations in this process, as standard input asks for them
    gunicorn "one_build:served()"    # deliveries: the sample jobs, and three floors as plain views

It uses only what builds have had for long, so that old ones can be measured, too.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import flask_migrate
import psycopg
from flask import Flask, request
from qstash import Receiver
from sqlalchemy import event, insert, text

from app import create_app
from app.db import db
from app.jobs import JobExecution, enqueue, enqueue_many
from app.jobs.publish import outbox
from tests.support import qstash

PAYLOAD = {"action": "none", "count": 1}
MANY = 1_000
#: The name of a queue that delivers nothing.
PARKED = "parked"

CLAIM = """UPDATE job_executions SET status = 'processing', started_at = now(), updated_at = now(),
           lease_token = %s, lease_expires_at = now() + interval '75 seconds', retry_count = 0,
           message_id = %s, published_at = coalesce(published_at, now())
           WHERE job_id = %s AND status IN ('pending', 'failed') RETURNING generation, user_id"""
COMPLETE = """UPDATE job_executions SET status = 'completed', completed_at = clock_timestamp(),
              updated_at = clock_timestamp(), lease_token = NULL, lease_expires_at = NULL,
              attempts = attempts || %s::jsonb WHERE job_id = %s AND lease_token = %s"""
INSERT = """INSERT INTO job_executions (job_id, job_type, payload)
            VALUES (:id, 'noop', CAST(:payload AS jsonb))"""


def new_app() -> Flask:
    app = create_app({"LOG_LEVEL": "WARNING"})
    from tests.support.sample_jobs import bp  # noqa: PLC0415 - declares its own table

    app.register_blueprint(bp)
    return app


def served() -> Flask:
    app, local = new_app(), threading.local()
    receiver = Receiver(qstash.CURRENT, qstash.NEXT)

    @app.post("/floor/empty")
    def empty() -> dict[str, Any]:
        return {"success": True}

    @app.post("/floor/verified")
    def verified() -> dict[str, Any]:
        """Verify the signature as QStash's own SDK does, and read the body."""
        signature = request.headers["Upstash-Signature"]
        receiver.verify(signature=signature, body=request.get_data(as_text=True))
        return {"success": True, "jobId": request.get_json()["jobId"]}

    @app.post("/floor/bare")
    def bare() -> dict[str, Any]:
        """Change the row as a delivery does, by bare statements in two transactions."""
        if not hasattr(local, "connection"):
            url = app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", "")
            local.connection = psycopg.connect(url)
        connection, job_id = local.connection, request.get_json()["jobId"]
        lease = "00000000-0000-4000-8000-000000000000"
        connection.execute(CLAIM, (lease, "msg", job_id)).fetchone()
        connection.commit()
        connection.execute(COMPLETE, ('{"number": 1, "outcome": "completed"}', job_id, lease))
        connection.commit()
        return {"success": True, "jobId": job_id, "result": None}

    return app


def core_insert() -> None:
    job_id = str(uuid4())
    written = {"jobId": job_id, "type": "noop", "payload": PAYLOAD, "metadata": {"createdAt": "x"}}
    row = {"job_id": job_id, "job_type": "noop", "payload": written, "max_retries": 3}
    db.session.connection().execute(insert(JobExecution.__table__), row)  # type: ignore[arg-type]


def enqueue_in_session() -> None:
    enqueue("noop", PAYLOAD, session=db.session)


def enqueue_alone() -> None:
    enqueue("noop", PAYLOAD, queue=PARKED)


def enqueue_a_thousand() -> None:
    enqueue_many("noop", [PAYLOAD] * MANY, queue=PARKED)


def record_jobs(count: int) -> list[str]:
    """Record jobs that wait to be delivered, and return their envelopes."""
    bodies = [qstash.envelope(PAYLOAD, job_type="noop") for _ in range(count)]
    rows = [{"id": body["jobId"], "payload": json.dumps(body)} for body in bodies]
    db.session.execute(text(INSERT), rows)
    db.session.commit()
    return [json.dumps(body) for body in bodies]


def round_trips(operation: Callable[[], object]) -> int:
    """Return how often an operation waits for PostgreSQL, by libpq's trace of its messages."""
    with tempfile.TemporaryFile("w+") as trace:

        def begin(connection: Any, *_: object) -> None:
            connection.pgconn.trace(trace.fileno())

        def end(connection: Any, _: object) -> None:
            connection.pgconn.untrace()

        event.listen(db.engine, "checkout", begin)
        event.listen(db.engine, "checkin", end)
        operation()
        db.session.remove()
        event.remove(db.engine, "checkout", begin)
        event.remove(db.engine, "checkin", end)
        trace.seek(0)
        return trace.read().count("ReadyForQuery")


def pause() -> None:
    """Have the queue at QStash that delivers nothing."""
    publisher = outbox.publisher()
    publisher.call(lambda qstash: qstash.queue.upsert(publisher.own(PARKED), parallelism=1))
    publisher.call(lambda qstash: qstash.queue.pause(publisher.own(PARKED)))


def settle() -> None:
    """Note which jobs were published; older builds have done so by now."""
    if hasattr(outbox, "notes"):
        outbox.notes().flush()


def cpu_seconds(operation: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        operation()
    settle()
    spent = time.process_time() - start
    db.session.rollback()  # what was done in the session, so that the table stays as it is
    return spent


def main() -> None:
    app = new_app()
    client = app.test_client()

    def deliver() -> None:
        assert qstash.deliver(client, bodies.pop().encode(), "/api/jobs/noop").status_code == 200

    operations = {
        each.__name__: each
        for each in (core_insert, enqueue_in_session, enqueue_alone, enqueue_a_thousand, deliver)
    }
    bodies: list[str] = []
    answer: Any
    with app.app_context():
        for line in sys.stdin:
            what, name, count = line.split()
            if what == "migrate":
                flask_migrate.upgrade("migrations")
                db.create_all()
                pause()
                answer = None
            elif what == "record":
                answer = record_jobs(int(count))
            elif what == "round_trips":
                bodies = record_jobs(1)
                answer = round_trips(operations[name])
            else:
                bodies = record_jobs(int(count)) if name == "deliver" else []
                answer = cpu_seconds(operations[name], int(count))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
