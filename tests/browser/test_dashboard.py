"""The dashboard in a real browser, with jobs that really run."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from qstash import QStash
from sqlalchemy import insert

from app.db import db
from app.families.email.mailbox import write_email
from app.families.webhooks.models import WebhookEvent
from app.jobs import enqueue, schedule
from tests.support.rows import AddJobs, add_row, row_of
from tests.support.waiting import wait_until

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
#: Those that show jobs, and the others.
OF_JOBS = ("", "/jobs", "/jobs?state=dead", "/errors")
SCREENS = (*OF_JOBS, "/new", "/new?type=sample", "/usage", "/doctor", "/audit", "/artifacts")


def failed(**values: Any) -> str:
    now = datetime.now(UTC)
    attempt = {
        "number": 1,
        "started_at": now.isoformat(),
        "duration_ms": 90,
        "outcome": "failed",
        "error": MARKUP,
        "traceback": MARKUP * 9,
    }
    given = {
        "status": "failed",
        "dead_at": now,
        "completed_at": now,
        "error": MARKUP,
        "attempts": [attempt],
        "payload": {"payload": {"note": MARKUP}},
    }
    return add_row(**{**given, **values})


def test_a_job_is_watched_from_pending_to_completed_without_reloading(
    page: Page, address: str, live_qstash: QStash
) -> None:
    job_id = enqueue("sample", {"action": "echo"}, delay="45m")  # a few seconds of its clock
    page.goto(f"{address}/job/{job_id}")
    page.evaluate("window.notReloaded = true")

    expect(page.locator("h1 .badge")).to_have_text("pending")
    expect(page.locator("h1 .badge")).to_have_text("completed", timeout=30_000)

    expect(page.locator("pre", has_text='"attempt": 1')).to_be_visible()
    assert page.evaluate("window.notReloaded")


def test_a_retry_is_a_click_and_is_seen(page: Page, address: str, live_qstash: QStash) -> None:
    job_id = failed(payload={"payload": {"action": "none"}})
    page.goto(f"{address}/job/{job_id}")

    page.get_by_role("button", name="Retry").click()

    expect(page.get_by_role("status")).to_contain_text("is pending again")
    wait_until(lambda: row_of(job_id).generation == 1)


def test_deleting_asks_first(page: Page, address: str) -> None:
    job_id = failed()
    page.goto(f"{address}/job/{job_id}")

    page.locator("summary", has_text="Delete").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_hidden()
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("is deleted")


def test_a_question_in_a_table_is_seen_whole(page: Page, address: str, live_qstash: QStash) -> None:
    schedule("sample", "0 3 * * *", {"action": "echo"}, schedule_id="nightly")
    page.goto(f"{address}/schedules")

    page.locator("td summary", has_text="Delete").click()

    button = page.get_by_role("button", name="Delete", exact=True)
    expect(button).to_be_in_viewport(ratio=1)
    button.click()
    expect(page.get_by_role("status")).to_contain_text("Schedule nightly is deleted.")


def test_an_update_leaves_alone_what_the_reader_does(
    page: Page, address: str, add_jobs: AddJobs
) -> None:
    add_jobs(60, "failed", dead_at="now()")
    page.goto(f"{address}/jobs")
    boxes = page.locator("td.pick input")
    boxes.nth(5).check()
    boxes.nth(30).check()
    before = page.evaluate("scrollY")

    with page.expect_response(re.compile("/jobs$")):
        add_jobs(1, "pending")
    expect(page.locator(".tabs .pending .number")).to_have_text("1")

    expect(page.locator("[data-picked]")).to_have_text("2 selected")
    expect(page.locator("td.pick input:checked")).to_have_count(2)
    expect(page.locator("td.pick input:focus")).to_have_count(1)
    assert before > 0
    assert page.evaluate("scrollY") == before


def test_all_that_match_are_deleted_without_javascript(
    browser: Browser, address: str, add_jobs: AddJobs
) -> None:
    add_jobs(3, "failed", dead_at="now()")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/jobs?state=dead")

    page.get_by_label("Which jobs").select_option("matching")
    page.locator("button[value=delete]").click()
    expect(page.locator("main")).to_contain_text("This changes 3 jobs")
    page.get_by_role("button", name="Delete 3 jobs").click()

    expect(page.get_by_role("status")).to_contain_text("3 jobs deleted.")
    expect(page.get_by_role("heading", name="None dead")).to_be_visible()
    context.close()


def test_markup_in_a_job_is_text_wherever_it_is_shown(page: Page, address: str) -> None:
    job_id = failed(job_type=MARKUP[:90], queue=MARKUP, idempotency_key=MARKUP, message_id=MARKUP)
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))

    for path in (*OF_JOBS, f"/job/{job_id}", f"/find?id={job_id[:8]}"):
        page.goto(address + path)
        expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
    assert alerts == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_needs_no_sideways_scrolling(
    browser: Browser, address: str, scheme: Any
) -> None:
    job_id = failed(
        job_type="a-type-" * 10,
        queue="queue-" * 30,
        error="x" * 300,
        progress={"done": 1, "total": 3, "note": "https://example.com/" + "x" * 300},
        user_id=7,
        organization_id=42,
    )
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()

    for path in (*SCREENS, f"/job/{job_id}"):
        page.goto(address + path)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    lightness = sum(int(part) for part in re.findall(r"\d+", ground)[:3]) / 3
    assert lightness > 200 if scheme == "light" else lightness < 50
    context.close()


def test_it_is_used_by_the_keyboard(page: Page, address: str) -> None:
    old, new = failed(), failed()
    page.goto(f"{address}/jobs")

    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("td.pick input:checked")).to_have_value(new)
    page.locator("td.pick input").last.check()  # which has the focus then, and takes no text
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(old))
    page.keyboard.press("/")
    page.keyboard.type(new[:10])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(new))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    for link in page.get_by_role("navigation").get_by_role("link").all():
        link.focus()
        assert link.evaluate("one => getComputedStyle(one).outlineStyle") != "none"


def test_a_hidden_tab_asks_for_nothing(page: Page, address: str) -> None:
    page.goto(address)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6000)  # that nothing is asked for has no moment to wait for
    assert asked == []

    with page.expect_request("**/admin/jobs"):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_an_email_is_seen_but_does_nothing(
    app: Flask, browser: Browser, address: str, tmp_path: Path
) -> None:
    app.config["MAILBOX_DIR"] = str(tmp_path)
    wide = f"<h1 style='color: rgb(1, 2, 3)'>Hello</h1>{MARKUP}<form action=/x><button>Go</button>"
    write_email(
        {
            "from": "a@example.com",
            "to": "b@example.com",
            "subject": MARKUP,
            "text": MARKUP * 9,
            "html": wide,
            "tags": [{"name": "template", "value": "welcome"}],
        }
    )
    context = browser.new_context()
    page = context.new_page()
    alerts: list[str] = []
    asked: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.on("response", lambda answer: asked.append(answer.url))

    page.goto(f"{address}/mailbox")
    page.get_by_role("link", name="<script>").click()
    heading = page.frame_locator("iframe").get_by_role("heading")
    expect(heading).to_have_css("color", "rgb(1, 2, 3)")
    page.get_by_role("link", name="Narrow").click()
    expect(page.locator("iframe")).to_have_css("width", "375px")
    assert alerts == []
    assert not [url for url in asked if url.endswith("/x")]
    context.close()


def test_the_apps_own_screens_fit_a_telephone(
    app: Flask, browser: Browser, address: str, tmp_path: Path
) -> None:
    app.config["MAILBOX_DIR"] = str(tmp_path)
    words = {"subject": "Welcome " * 20, "text": "x" * 300, "html": "<p>Hello</p>"}
    write_email(
        {
            "from": "a@example.com",
            "to": f"{'b' * 60}@example.com",
            **words,
            "tags": [{"name": "template", "value": "welcome"}],
        }
    )
    [letter] = [path.stem for path in tmp_path.glob("*.eml")]
    given = {"source": "github", "event": "push" * 40, "delivery_id": "d" * 200, "verified": True}
    made = insert(WebhookEvent).values(**given, headers={"x" * 90: "y" * 300}, body=b"{}")
    row_id = db.session.execute(made.returning(WebhookEvent.id)).scalar_one()
    db.session.commit()
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()

    for path in ("/webhooks", f"/webhooks/{row_id}", "/mailbox", f"/mailbox/{letter}"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()
