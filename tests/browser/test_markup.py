"""Whatever others write into a job, an email, a webhook or a form is text on each screen."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from qstash import QStash
from sqlalchemy import insert

from app.artifacts import Artifact
from app.dashboard import Role, User
from app.db import db
from app.families.email.mailbox import write_email
from app.families.webhooks.models import WebhookEvent
from app.jobs import batch, enqueue, workflow
from app.jobs.operate import Filter, operations, pauses
from tests.support.http_server import serving
from tests.support.rows import add_row
from tests.support.sample_jobs import Sample, noop
from tests.support.waiting import wait_until

from .chromium import tab

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
#: What of it is in names that may not be longer, or have other characters.
SHORT = "<script>alert(1)</script>"


@pytest.fixture
def address(app: Flask, tmp_path: Path) -> Iterator[str]:
    app.config.update(MAILBOX_DIR=str(tmp_path), JOBS_DASHBOARD_NAME=MARKUP)
    app.extensions["jobs.dashboard.ways"] = [lambda: User(MARKUP, Role.ADMIN)]
    with serving(app) as url:
        yield f"{url}/admin/jobs"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; the test fails when anything runs, is loaded, or violates the policy."""
    dialogs: list[str] = []
    with tab(browser, but="status of 40") as opened:
        opened.on("dialog", lambda dialog: dialogs.append(dialog.message))
        yield opened
    assert dialogs == []


def job() -> str:
    """Insert a dead job that has it in each of its fields, and one that runs; return the first."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "job_type": SHORT,
        "queue": MARKUP,
        "idempotency_key": MARKUP,
        "message_id": MARKUP,
        "schedule_id": MARKUP,
        "tags": [MARKUP],
        "error": MARKUP,
        "payload": {"payload": {MARKUP: MARKUP}, "metadata": {"requestId": MARKUP}},
        "result": {MARKUP: MARKUP},
        "options": {"label": MARKUP, "callback": MARKUP},
        "logs": [{"attempt": 1, "lines": [{"level": "INFO", "message": MARKUP}]}],
    }
    attempt = {"number": 1, "started_at": now.isoformat(), "duration_ms": 9, "outcome": "failed"}
    attempt |= {"error": MARKUP, "traceback": MARKUP * 9, "host": MARKUP, "message_id": MARKUP}
    times = {"started_at": now, "completed_at": now, "dead_at": now}
    made = add_row(status="failed", attempts=[attempt], generation=1, **times, **given)
    add_row(parent_id=made, status="processing", progress={"done": 1, "total": 2, "note": MARKUP})
    return made


def webhook() -> int:
    given = {
        "source": SHORT,
        "event": MARKUP,
        "delivery_id": MARKUP,
        "verified": True,
        "headers": {MARKUP: MARKUP},
        "body": f'{{"{SHORT}": "{MARKUP}"}}'.encode(),
    }
    made = db.session.execute(insert(WebhookEvent).values(**given).returning(WebhookEvent.id))
    found = int(made.scalar_one())
    db.session.commit()
    return found


def artifact(job_id: str) -> None:
    now = datetime.now(UTC)
    given: dict[str, object] = {
        "id": str(uuid4()),
        "name": MARKUP,
        "key": str(uuid4()),
        "media_type": MARKUP,
    }
    given |= {"size": 1, "sha256": "0" * 64, "expires_at": now, "job_id": job_id}
    db.session.execute(insert(Artifact).values(**given))
    db.session.commit()


def email(folder: Path) -> str:
    sender = f'"{SHORT}" <a@example.com>'
    said = {"subject": MARKUP, "text": MARKUP, "html": "<p>Hello</p>"}
    tags = [{"name": "template", "value": "welcome"}]
    write_email({"from": sender, "to": "b@example.com", "tags": tags, **said})
    return next(folder.glob("*.eml")).stem


def shown(page: Page, url: str) -> None:
    """See that a page has the markup as text, and no element that it would be."""
    page.goto(url)
    expect(page.locator("main")).to_contain_text(SHORT)
    made = "script:not([src]), img[onerror], [onload]"
    assert page.locator(made).count() == 0, url


def test_what_others_write_is_text_on_each_screen(
    app: Flask, page: Page, address: str, qstash: QStash, tmp_path: Path
) -> None:
    job_id, event, letter = job(), webhook(), email(tmp_path)
    artifact(job_id)
    with batch(MARKUP) as many:
        many.enqueue(noop.s(Sample("none")))
    with workflow(MARKUP) as flow:
        flow.add(MARKUP[:90], noop.s(Sample("none")))
    pauses.pause("queue", "mail", reason=MARKUP, by=MARKUP)
    asked = operations.begin("retry", Filter(error=MARKUP), by=MARKUP, total=1)

    for path in (
        *("", "/jobs", "/jobs?state=dead", "/errors", f"/job/{job_id}", f"/find?id={job_id[:8]}"),
        *("/batches", f"/batches/{many.id}", f"/batches/{flow.id}", "/queues", "/audit", "/usage"),
        *("/operations", f"/operations/{asked}", "/webhooks", f"/webhooks/{event}"),
        *("/mailbox", f"/mailbox/{letter}", "/artifacts", f"/find?id={SHORT}", f"/jobs?q={SHORT}"),
        *(f"/jobs?type={SHORT}", f"/jobs?tag={SHORT}"),
    ):
        shown(page, address + path)
    expect(page.locator("header").first).to_contain_text(SHORT)
    page.goto(f"{address}/audit?actor={SHORT}")
    expect(page.get_by_label("Who")).to_have_value(SHORT)


def test_what_is_wrong_in_a_form_is_text(page: Page, address: str, qstash: QStash) -> None:
    for path, button in (("/schedules/edit?type=sample", "Make"), ("/new?type=sample", "Enqueue")):
        page.goto(address + path)
        for field in page.locator("main form.new input:not([type=hidden])").all():
            if field.get_attribute("type") in {None, "text"}:
                field.fill(MARKUP)
        page.locator("form.new").evaluate("form => { form.noValidate = true }")
        page.get_by_role("button", name=button).first.click()
        expect(
            page.locator("main .notice.problem:not(#stale), main [aria-invalid]").first
        ).to_be_visible()
        filled = page.locator("main form.new input")
        assert MARKUP in filled.evaluate_all("all => all.map((one) => one.value)")
        assert page.locator("script:not([src]), img[onerror]").count() == 0


def test_a_dead_letters_answer_is_text(
    app: Flask, page: Page, address: str, live_qstash: QStash
) -> None:
    app.view_functions["samples.sample"] = lambda: (MARKUP, 404)
    enqueue("sample", {"action": "none"}, retries=0)
    wait_until(lambda: live_qstash.dlq.list().messages, "a dead letter")

    page.goto(f"{address}/dead-letters")

    for summary in page.locator("details:not(.confirm) > summary").all():
        summary.click()
    expect(page.locator("main")).to_contain_text(SHORT)
    assert page.locator("script:not([src]), img[onerror]").count() == 0
