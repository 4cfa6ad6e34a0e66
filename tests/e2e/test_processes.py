"""Several processes at once: a claim, a key and a sweep each have one winner."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from app.db import db
from app.dev.reaper import ROOT
from app.dev.resend_server import Answer, ResendServer
from app.families.email.senders import send_password_changed_email_async
from tests.e2e.stack import Stack
from tests.support.publishing import connect
from tests.support.qstash import claims_for, envelope, token

pytestmark = pytest.mark.usefixtures("producer")

ENQUEUE = """
from app import create_app
from app.families.email.senders import send_password_changed_email_async
with create_app().app_context():
    for _ in range(10):
        print(send_password_changed_email_async(
            "key@example.com", recipient_name="Ann", idempotency_key="processes", delay=3600))
"""


def run_at_once(stack: Stack, times: int, *command: str) -> list[str]:
    """Run the same command in several processes and return what each printed."""
    env = {**os.environ, **stack.settings, "LOG_LEVEL": "ERROR"}
    running = [
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *command], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(times)
    ]
    return [process.communicate()[0] for process in running]


def post(stack: Stack, body: bytes) -> int:
    url = f"{stack.base_url}/api/jobs/email"
    headers = {
        "Upstash-Signature": token(claims_for(body, url)),
        "Upstash-Message-Id": "msg_twin",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own URL
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_of_many_deliveries_to_several_processes_one_executes(
    stack: Stack, resend: ResendServer
) -> None:
    stack.kill("web", signal.SIGTERM)
    stack.settings["WEB_CONCURRENCY"] = "3"
    stack.start_web()
    resend.answer("twin@example.com", Answer(after=0.3))
    payload = {"to": "twin@example.com", "template": "passwordChanged"}
    data = {"recipientName": "Ann"}
    body = json.dumps(envelope({**payload, "data": data}, job_type="send-email")).encode()

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: post(stack, body), range(12)))

    assert set(answers) <= {200, 503}
    assert sum("twin@example.com" in request.recipients for request in resend.requests) == 1


def test_a_key_used_in_several_processes_makes_one_job(stack: Stack) -> None:
    printed = run_at_once(stack, 4, "-c", ENQUEUE)

    assert len({line for out in printed for line in out.split()}) == 1
    assert sum(len(out.split()) for out in printed) == 40


def test_sweeps_in_several_processes_publish_each_job_once(stack: Stack, producer: Flask) -> None:
    ids = [unpublished() for _ in range(60)]

    run_at_once(stack, 3, "-m", "flask", "jobs", "sweep", "--grace", "0s")

    query = f"state=CREATED&count=1000&url={stack.base_url}/api/jobs/email"
    with connect(stack.qstash_url) as client:
        logs = client.http.request(path=f"/v2/events?{query}", method="GET")["events"]
    rows = db.session.execute(
        text("SELECT message_id FROM job_executions WHERE job_id = ANY(CAST(:ids AS text[]))"),
        {"ids": ids},
    )
    messages = [row.message_id for row in rows]
    assert None not in messages
    assert len(set(messages)) == 60
    created = [log["messageId"] for log in logs if log["messageId"] in messages]
    assert len(created) == 60


def unpublished() -> str:
    """Record a job as a process would that died before it published."""
    job_id = send_password_changed_email_async(
        f"swept-{uuid4()}@example.com", recipient_name="Ann", session=db.session, delay=3600
    )
    db.session.info.clear()  # what would publish after the commit dies with the process
    db.session.execute(text("UPDATE job_executions SET updated_at = now() - interval '1 hour'"))
    db.session.commit()
    return str(job_id)
