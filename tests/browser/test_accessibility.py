"""Each of the dashboard's screens can be read and used by everybody, in light and in dark."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect
from qstash import QStash

from app.jobs import batch, enqueue, schedule, workflow
from app.jobs.operate import Filter, operations, pauses, people
from tests.browser.axe import axe, findings
from tests.support.http_server import serving
from tests.support.rows import add_row
from tests.support.sample_jobs import Sample, noop

from .chromium import complaints_of, said_by_now

__all__ = ["axe"]


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    app.config.update(JOBS_DASHBOARD="local", ADMIN_SIGN_IN="password")
    with serving(app) as url:
        yield f"{url}/admin/jobs"


@pytest.fixture
def screens(address: str, qstash: QStash) -> list[str]:
    """Fill each screen with something, and return the addresses of all."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "job_type": "sample",
        "user_id": 7,
        "organization_id": 42,
        "queue": "mail",
        "error": "ValueError: bad row 17",
        "tags": ["billing"],
        "idempotency_key": "k",
    }
    attempt = {"number": 1, "started_at": now.isoformat(), "duration_ms": 90, "outcome": "failed"}
    attempt |= {"error": "bad row", "traceback": "Traceback\n  in the handler"}
    dead = add_row(
        status="failed", dead_at=now, completed_at=now, attempts=[attempt], generation=1, **given
    )
    for status in ("failed", "processing", "completed", "cancelled"):
        progress = {"done": 1, "total": 3, "note": "x"} if status == "processing" else None
        add_row(status=status, started_at=now, progress=progress)
    enqueue("sample", {"action": "echo"}, delay="1h")
    made = schedule("sample", "0 3 * * *", {"action": "echo"}, schedule_id="nightly")
    add_row(status="completed", schedule_id=made)
    operation = operations.begin("retry", Filter(everything=True), by="ada", total=5)
    with batch("invoices") as many:
        many.enqueue(noop.s(Sample("none")))
    with workflow("thumbnails") as flow:
        flow.add("fetch", noop.s(Sample("none")))
        flow.add("resize", noop.s(Sample("none")), after=["fetch"])
    pauses.pause("queue", "mail", reason="The provider is down.", by="ada")
    return [
        *("", "/jobs", "/jobs?state=dead", "/jobs?newer=soon", "/jobs?type=nothing", "/errors"),
        *("/schedules", "/schedules/edit", "/schedules/edit?type=sample", "/dead-letters", "/new"),
        *("/new?type=sample", "/usage", "/doctor", "/audit", "/operations", "/sign-in", "/nowhere"),
        *(f"/operations/{operation}", f"/job/{dead}", f"/find?id={dead[:8]}", "/find?id=abcd"),
        *("/batches", f"/batches/{many.id}", f"/batches/{flow.id}", "/queues", "/artifacts"),
        *("/webhooks", "/mailbox", "/users", "?period=week", f"/schedules/edit?id={made}"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_has_a_serious_finding(
    browser: Browser, address: str, screens: list[str], axe: str, scheme: Any
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1100, "height": 800})
    page = context.new_page()
    complaints = complaints_of(page)

    found = {}
    for path in screens:
        page.goto(address + path)
        for summary in page.locator("details:not(.confirm) > summary").all():
            summary.click()
        found[path] = findings(page, axe)
    for path in ("/new?type=sample", "/schedules/edit?type=sample"):
        page.goto(address + path)
        page.locator("form.new").evaluate("form => { form.noValidate = true }")
        page.get_by_label("Delay").fill("soon")
        page.locator("form.new button").last.click()
        expect(
            page.locator("main .notice.problem:not(#stale), main [aria-invalid]").first
        ).to_be_visible()
        found[f"{path}, with what is wrong in it"] = findings(page, axe)
    complaints = said_by_now(page, complaints)
    context.close()

    assert {path: said for path, said in found.items() if said} == {}
    # A page that is none answers 404, and one with a bad filter 400: the console says as much.
    assert [
        one for one in complaints if "the server responded with a status of 40" not in one
    ] == []


#: Of a telephone, of the narrowest window with the navigation at its side, and of one in between.
WIDTHS = (360, 900, 1100)


def test_no_screen_scrolls_sideways(browser: Browser, address: str, screens: list[str]) -> None:
    people.create("ada-of-the-engines", "correct horse battery", "admin", by="test")
    context = browser.new_context()
    page = context.new_page()

    wide = {}
    for path in screens:
        page.goto(address + path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 740})
            wide[path, width] = page.evaluate("document.documentElement.scrollWidth")
    context.close()

    assert {at: found for at, found in wide.items() if found > at[1]} == {}


@pytest.mark.parametrize("width", [360, 800])
def test_a_workflow_can_be_read_and_a_question_is_within_the_window(
    browser: Browser, address: str, qstash: QStash, width: int
) -> None:
    with workflow("onboarding") as flow:
        flow.add("fetch", noop.s(Sample("none")))
        flow.add("resize", noop.s(Sample("none")), after=["fetch"])
        flow.add("store", noop.s(Sample("none")), after=["resize"])
    context = browser.new_context(viewport={"width": width, "height": 740})
    page = context.new_page()
    page.goto(f"{address}/batches/{flow.id}")

    words = page.locator(".graph text").first.bounding_box()
    page.locator("summary", has_text="Cancel").click()
    question = page.locator(".popup").bounding_box()
    context.close()

    assert words is not None
    assert question is not None
    assert words["height"] >= 12
    assert question["x"] >= 0
    assert question["x"] + question["width"] <= width


def test_the_navigation_keeps_to_its_lines(
    browser: Browser, address: str, screens: list[str]
) -> None:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/jobs")
    page.locator(".tabs .number").evaluate_all(
        "all => all.forEach((n) => n.textContent = '10,000+')"
    )

    heights = page.locator("nav.screens a").evaluate_all("all => all.map((a) => a.offsetHeight)")
    tabs = page.locator(".tabs a").evaluate_all("all => all.map((a) => a.offsetTop)")
    context.close()

    assert len(set(heights)) == 1
    assert len(set(tabs)) == 1


def test_a_filter_is_completed_by_the_keyboard(browser: Browser, address: str) -> None:
    job_id = add_row(status="cancelled")
    context = browser.new_context()
    page = context.new_page()
    complaints = complaints_of(page)
    page.goto(f"{address}/jobs")
    line = page.get_by_role("combobox", name="Filter")
    options = page.get_by_role("listbox").get_by_role("option")

    line.fill("sta")
    expect(options).to_have_text(["state: State"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(line).to_have_value("state:")
    expect(options).to_have_count(6)
    page.keyboard.type("can")
    expect(options).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(line).to_have_value("state:cancelled ")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")

    page.wait_for_url("**/jobs?state=cancelled")
    expect(page.locator("table.list")).to_contain_text(job_id[:8])
    complaints = said_by_now(page, complaints)
    context.close()
    assert complaints == []


def test_an_operation_is_watched_and_stopped_without_reloading(
    browser: Browser, address: str, qstash: QStash
) -> None:
    for _ in range(3):
        add_row(status="cancelled")
    made = operations.begin("retry", Filter(everything=True), by="ada", total=3)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/operations/{made}")
    page.evaluate("window.notReloaded = true")
    expect(page.locator("#live")).to_contain_text("0 of 3 jobs")

    next(operations.work(made))

    expect(page.locator("#live")).to_contain_text("3 of 3 jobs")
    assert page.evaluate("window.notReloaded")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_contain_text("It is stopped")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    context.close()
