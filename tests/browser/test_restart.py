"""What was begun in a browser goes on where the app's process is killed and started again."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect
from sqlalchemy import text

from app.db import db
from app.dev.resend_server import ResendServer
from app.jobs.operate import pauses
from tests.e2e.stack import Stack
from tests.support.waiting import wait_until

JOBS = 10_000


@pytest.fixture
def stack(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Stack]:
    """Have gunicorn and QStash as processes of their own, over this test's database."""
    with ResendServer() as resend:
        found = Stack(tmp_path, database_url, resend)
        found.settings |= {"JOBS_DASHBOARD": "local", "WEB_CONCURRENCY": "1"}
        try:
            found.start_qstash(speed=1)  # its first retry comes after 12 s, when the app is there
            found.start_web()
            yield found
        finally:
            found.stop()


def add_dead(job_type: str) -> None:
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload, status, dead_at)"
            " SELECT 'j' || n, :job_type, '{\"payload\": {}}', 'failed', now()"
            " FROM generate_series(1, :count) AS n"
        ),
        {"job_type": job_type, "count": JOBS},
    )
    db.session.commit()


def found_by(query: str) -> list[int]:
    db.session.rollback()
    return list(db.session.scalars(text(query)))


def changed() -> int:
    return sum(found_by("SELECT changed FROM job_operations"))


def test_a_bulk_retry_survives_that_its_process_is_killed(stack: Stack, browser: Browser) -> None:
    add_dead("send-email")
    pauses.pause("type", "send-email", reason="so that none is sent", by="test")
    page = browser.new_context().new_page()
    page.goto(f"{stack.base_url}/admin/jobs/jobs?state=dead")
    page.get_by_label("Which jobs").select_option("matching")
    page.locator("button[value=retry]").click()
    page.get_by_label("Type the number of jobs").fill(str(JOBS))
    page.get_by_role("button", name=re.compile("^Retry")).click()
    page.wait_for_url(re.compile("/operations/[0-9]+$"))
    page.evaluate("window.notReloaded = true")

    wait_until(lambda: changed() > 0, stack.log)
    stack.kill("web", signal.SIGKILL)
    before = changed()
    assert 0 < before < JOBS
    expect(page.get_by_text("This page is no longer up to date")).to_be_visible(timeout=15_000)
    # Nobody tells that the process died: its lease has to run out, for which no test waits.
    db.session.execute(
        text(
            "UPDATE job_executions SET lease_expires_at = now() WHERE job_type = 'act-on-jobs'"
            " AND status = 'processing'"
        )
    )
    db.session.commit()
    stack.start_web()

    expect(page.locator("#live")).to_contain_text("10,000 of 10,000 jobs", timeout=200_000)
    assert page.evaluate("window.notReloaded")
    expect(page.get_by_text("This page is no longer up to date")).to_be_hidden()
    of = "FROM job_executions WHERE job_type ="
    assert found_by(f"SELECT DISTINCT generation {of} 'send-email'") == [1]
    assert found_by(f"SELECT jsonb_array_length(attempts) {of} 'act-on-jobs'") == [2]
