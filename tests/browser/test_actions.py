"""What people do in a real browser, and that it is done."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from qstash import QStash
from sqlalchemy import func, select, text

from app.db import db
from app.jobs import JobExecution, enqueue
from app.jobs.operate import operations, pauses
from tests.support.rows import AddJobs, Rows

from .chromium import tab


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; a form with a mistake answers 400."""
    with tab(browser, but="a status of 400") as opened:
        yield opened


def add_dead(count: int) -> None:
    db.session.execute(
        text(
            "INSERT INTO job_executions (job_id, job_type, payload, status, dead_at)"
            " SELECT 'j' || n, 'sample', '{\"payload\": {}}', 'failed', now()"
            " FROM generate_series(1, :count) AS n"
        ),
        {"count": count},
    )
    db.session.commit()


def retried() -> int:
    db.session.rollback()
    wanted = select(func.count()).where(JobExecution.generation == 1)
    return db.session.scalar(wanted.where(JobExecution.status == "pending")) or 0


def test_a_type_is_paused_with_a_reason_and_resumed(
    page: Page, address: str, rows: Rows, qstash: QStash
) -> None:
    page.goto(f"{address}/queues")
    name = page.get_by_text("sample", exact=True)
    row = page.locator("tr", has=name)
    row.locator("summary", has_text="Pause").click()
    row.get_by_label("Why?").fill("The provider is down.")
    row.get_by_role("button", name="Pause", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("Paused type sample")
    expect(page.locator("main")).to_contain_text("The provider is down.")
    [held] = pauses.paused()
    assert (held.pause.name, held.pause.reason) == ("sample", "The provider is down.")
    job_id = str(enqueue("sample", {"action": "none"}))
    assert rows[job_id].pause == held.pause.id

    row.locator("summary", has_text="Resume").click()
    row.get_by_role("button", name="Resume", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("Resumed type sample; published 1 job")
    assert pauses.paused() == []
    assert rows[job_id].published_at is not None


def test_a_schedule_is_made_and_edited(page: Page, address: str, qstash: QStash) -> None:
    page.goto(f"{address}/schedules/edit?type=sample")
    page.get_by_label("Name").first.fill("weekly")
    page.get_by_label("Cron").fill("0 6 * * 1")
    page.get_by_label("action").fill("echo")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.get_by_role("status")).to_contain_text("weekly")
    assert qstash.schedule.get("weekly").cron == "0 6 * * 1"

    page.goto(f"{address}/schedules/edit?id=weekly")
    page.get_by_label("Cron").fill("not a cron")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main .notice.problem:not(#stale)")).to_contain_text("not a cron")
    assert qstash.schedule.get("weekly").cron == "0 6 * * 1"
    page.get_by_label("Cron").fill("0 7 * * 1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("weekly")
    assert qstash.schedule.get("weekly").cron == "0 7 * * 1"


def test_ten_thousand_are_retried_with_progress_stopped_and_gone_on_with(
    page: Page, address: str, qstash: QStash
) -> None:
    add_dead(10_000)
    pauses.pause("type", "sample", reason="so that none is published", by="test")
    page.goto(f"{address}/jobs?state=dead")
    expect(page.locator(".tabs .dead .number")).to_have_text("10,000")
    page.get_by_label("Which jobs").select_option("matching")
    page.locator("button[value=retry]").click()
    expect(page.locator("main")).to_contain_text("10,000 jobs")
    page.get_by_label("Type the number of jobs").fill("10000")
    page.get_by_role("button", name=re.compile("^Retry")).click()
    page.wait_for_url(re.compile("/operations/[0-9]+$"))
    made = int(page.url.rpartition("/")[2])
    page.evaluate("window.notReloaded = true")

    process = operations.work(made)
    next(process)
    next(process)
    expect(page.locator("#live")).to_contain_text("1,000 of 10,000 jobs")
    assert page.evaluate("window.notReloaded")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text("It is stopped")
    assert [*process, *operations.work(made)] == []
    assert retried() == 1_000

    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    for _ in operations.work(made):  # as another process does, after a restart
        pass
    expect(page.locator("#live")).to_contain_text("10,000 of 10,000 jobs")
    assert page.evaluate("window.notReloaded")
    assert retried() == 10_000


def test_a_list_is_had_as_a_file(
    page: Page, address: str, add_jobs: AddJobs, tmp_path: Path
) -> None:
    add_jobs(2, "failed", dead_at="now()", error="'=1+1, \"quoted\"'")
    add_jobs(1, "cancelled")
    page.goto(f"{address}/jobs?state=dead&error=quoted")

    with page.expect_download() as waited:
        page.get_by_role("link", name="CSV").or_(page.get_by_role("button", name="CSV")).click()

    waited.value.save_as(tmp_path / "jobs.csv")
    with (tmp_path / "jobs.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 2
    assert all('quoted"' in str(row) for row in found)
