"""The TypeScript starter's side in Node, with its own libraries, against this app: both ways."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from qstash import QStash

from app.accounts.models import Organization, User
from app.config import DEV_QSTASH
from app.db import db
from app.families.email.samples import SAMPLES
from app.families.email.template import TEMPLATES
from app.jobs import Jobs, enqueue, schedule
from app.jobs.operate import schedule_actions
from app.local_qstash.testing import LocalQStash
from tests.starter.notifications import NotificationSchema
from tests.support.node_sdk import node_with
from tests.support.publishing import served_by
from tests.support.qstash import BASE_URL
from tests.support.rows import Rows
from tests.support.waiting import wait_until

FOLDER = Path(__file__).parent / "js"
#: What the guide enqueues, by the names that `producer.mjs` has for it.
EXAMPLES = ("passwordReset", "subscriptionCreated", "genericWebhook", "report", "exportUsers")
SCHEDULES = ("cleanupAt2", "cleanupAt3")
#: Those that say less than this app's own callers do, and the webhook in the guide's shape.
SPARSE = (
    "verifySetup",
    "defaultRetries",
    "customRetries",
    "basic",
    "withMetadata",
    "withOptions",
    "apiReference",
    "welcome",
    "teamInvitation",
    "paymentFailed",
    "stripeWebhook",
)
#: What this app publishes, by job type.
PUBLISHED: dict[str, dict[str, Any]] = {
    "process-webhook": {"source": "github", "event": "push", "data": {"ref": None}},
    "process-stripe-webhook": {
        "eventId": "evt_1", "eventType": "invoice.paid", "created": 1767225600,
        "eventData": {"object": {}}, "ipAddress": None,
    },
    "export-data": {"entityType": "users", "format": "csv"},
    "generate-report": {
        "reportType": "monthly-analytics", "startDate": "2025-01-01", "endDate": "2025-01-31",
        "format": "pdf",
    },
    "cleanup-old-data": {"retention": 30},
    "create-notification": {"title": "Hello", "body": None},
    "evaluate-alerts": {},
    "send-alert": {"channel": "email", "kind": "x", "previous": "y", "health": {}, "since": None},
}  # fmt: skip


@pytest.fixture(scope="session")
def node() -> str:
    return node_with(FOLDER)


@pytest.fixture
def domain(app: Flask) -> None:
    """Have the user and the organization that the guide's examples name."""
    db.session.add(Organization(id=456, name="Acme Corp"))
    db.session.add(User(id=123, email="john@example.com", name="John Doe"))
    db.session.commit()


def produced(node: str, app: Flask, *names: str) -> dict[str, str]:
    environment = {
        "PATH": os.environ["PATH"],
        "QSTASH_URL": app.config["QSTASH_URL"],
        "QSTASH_TOKEN": app.config["QSTASH_TOKEN"],
        "BASE_URL": BASE_URL,
        "DATABASE_URL": db.engine.url.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
    }
    done = subprocess.run(  # noqa: S603 - Node with our own file
        [node, "producer.mjs", *names], cwd=FOLDER, env=environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: dict[str, str] = json.loads(done.stdout)
    return made


def test_what_the_guides_producer_enqueues_is_completed_here(
    node: str, app: Flask, live_qstash: QStash, rows: Rows, domain: None
) -> None:
    made = produced(node, app, *EXAMPLES)
    for name, job_id in made.items():
        wait_until(lambda job_id=job_id: rows[job_id].status != "pending", name)  # type: ignore[misc]
        wait_until(lambda job_id=job_id: rows[job_id].status != "processing", name)  # type: ignore[misc]
    assert {name: rows[job_id].error for name, job_id in made.items()} == dict.fromkeys(made)
    assert {rows[job_id].status for job_id in made.values()} == {"completed"}
    assert rows[made["report"]].organization_id == 456


@pytest.mark.usefixtures("domain", "live_qstash")
@pytest.mark.parametrize("name", SPARSE)
def test_what_the_guide_leaves_to_defaults_is_completed_too(
    node: str, app: Flask, rows: Rows, name: str
) -> None:
    [job_id] = produced(node, app, name).values()
    wait_until(lambda: rows[job_id].attempts or rows[job_id].dead_at, name)
    wait_until(lambda: rows[job_id].status != "processing", name)
    assert (rows[job_id].status, rows[job_id].error) == ("completed", None)


def test_what_the_guides_producer_schedules_is_a_job_of_this_app(
    node: str, app: Flask, live_qstash: QStash, rows: Rows, domain: None
) -> None:
    made = produced(node, app, *SCHEDULES)
    for name, retention in zip(SCHEDULES, (30, 90), strict=True):
        found = schedule_actions.find_schedule(made[name])
        job_id = schedule_actions.run_now(found, by="ann")
        assert job_id is not None
        wait_until(lambda job_id=job_id: rows[job_id].status == "completed", name)  # type: ignore[misc]
        assert rows[job_id].payload["payload"]["retention"] == retention


class Worker:
    """The worker in Node; what it was delivered and what it thinks of that."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines = process.stdout
        self.origin = f"http://127.0.0.1:{int(self.lines.readline())}"

    def next(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.lines.readline())
        return said


@pytest.fixture
def worker(node: str) -> Iterator[Worker]:
    environment = {"PATH": os.environ["PATH"], **DEV_QSTASH}
    with subprocess.Popen(  # noqa: S603 - Node with our own file
        [node, "worker.mjs"], cwd=FOLDER, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Worker(process)
        process.terminate()


@pytest.fixture
def unsealed(app: Flask, worker: Worker) -> Iterator[None]:
    """The app does not seal, and all that it publishes goes to the worker in Node."""
    app.config["JOBS_SEAL"] = "false"
    url = f"{worker.origin}/notifications"
    Jobs().external("create-notification", url=url, schema=NotificationSchema)
    with served_by(app, LocalQStash(speed=1000, origins={BASE_URL: worker.origin})):
        yield


#: The guide's worker knows seven; that a file is ready is an email of this app's own.
GUIDES = [sample for sample in SAMPLES if sample["template"] != "fileReady"]


@pytest.mark.parametrize("sample", GUIDES, ids=lambda sample: str(sample["template"]))
def test_the_guides_worker_accepts_every_email(
    app: Flask, worker: Worker, unsealed: None, sample: dict[str, Any]
) -> None:
    job_id = enqueue("send-email", sample, user_id=123)
    said = worker.next()
    assert (said["issues"], said["job"]["jobId"]) == ([], job_id)
    assert "sealed" not in said["job"]


@pytest.mark.parametrize("job_type", PUBLISHED)
def test_the_guides_worker_accepts_what_this_app_publishes(
    app: Flask, worker: Worker, unsealed: None, job_type: str
) -> None:
    job_id = enqueue(job_type, PUBLISHED[job_type], organization_id=456, idempotency_key="a")
    said = worker.next()
    assert (said["issues"], said["job"]["jobId"]) == ([], job_id)

    schedule(job_type, "* * * * *", PUBLISHED[job_type], schedule_id="often")
    said = worker.next()
    assert (said["issues"], said["scheduled"], said["job"]["type"]) == ([], True, job_type)


def test_every_template_and_job_type_is_tried(app: Flask) -> None:
    assert {sample["template"] for sample in SAMPLES} == set(TEMPLATES)
    ours = {one.type for one in app.extensions["jobs"].registry if "-" in one.type}
    assert ours - {"send-email", "act-on-jobs"} <= set(PUBLISHED)
