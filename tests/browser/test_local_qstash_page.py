"""The local QStash server's page in a real browser."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.local_qstash.testing import LocalQStash
from tests.support.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

from .chromium import tab

SECTIONS = ("/", "/dead-letters", "/schedules", "/queues", "/flow-control", "/url-groups", "/setup")


@pytest.fixture
def destination() -> Iterator[HttpServer]:
    with HttpServer() as running:
        yield running


@pytest.fixture
def server() -> Iterator[LocalQStash]:
    with LocalQStash() as running:
        yield running


@pytest.fixture
def http(server: LocalQStash) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as session:  # noqa: S501 - loads no certificates for plain HTTP
        yield session


@pytest.fixture
def page(browser: Browser, server: LocalQStash) -> Iterator[Page]:
    with tab(browser, base_url=server.url) as opened:
        yield opened


def publish(http: httpx.Client, url: str, **headers: str) -> str:
    named = {f"Upstash-{name.replace('_', '-')}": value for name, value in headers.items()}
    answer = http.post(f"/v2/publish/{url}", content=b'{"a": 1}', headers=named)
    return str(answer.raise_for_status().json()["messageId"])


def fail(http: httpx.Client, destination: HttpServer) -> str:
    """Make a dead letter; return its message's id."""
    destination.replies["/down"] = Reply(503, b"down")
    message = publish(http, f"{destination.url}/down", retries="0", label="billing")
    wait_until(lambda: http.get("/v2/dlq").json()["messages"])
    return message


def fill(http: httpx.Client, destination: HttpServer) -> str:
    """Put something long into every section; return a message with a long chain of states."""
    long = "/a/path/that/is/much/longer/than/a/telephone/is/wide?and=a-query-without-a-break" * 2
    publish(http, f"{destination.url}{long}", delay="1d", label="a-label-that-is-rather-long")
    cron = {"Upstash-Cron": "CRON_TZ=America/Argentina/Buenos_Aires */7 8-18 1,15 * MON-FRI"}
    http.post(f"/v2/schedules/{destination.url}{long}", headers=cron)
    http.post("/v2/queues", json={"queueName": "a-queue-" * 8})
    http.post(f"/v2/flowControl/{'key-' * 20}/pin?rate=5&parallelism=2")
    http.post("/v2/topics/all/endpoints", json={"endpoints": [{"url": destination.url + long}]})
    return fail(http, destination)


def requests_of(page: Page) -> list[str]:
    """Return a list that fills with the addresses that the page asks for from now on."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    return found


def test_a_message_appears_and_moves_on_without_reloading(
    page: Page, http: httpx.Client, destination: HttpServer
) -> None:
    page.goto("/")
    page.evaluate("window.notReloaded = true")

    message = publish(http, f"{destination.url}/x", delay="1d")
    row = page.locator(f"#{message}")
    expect(row.locator(".badge")).to_have_text("Delayed")
    http.post(f"/v2/messages/{message}/retry")
    expect(row.locator(".badge")).to_have_text("Delivered")

    assert page.evaluate("window.notReloaded")


def test_updates_leave_what_the_reader_is_doing_alone(
    page: Page, http: httpx.Client, destination: HttpServer
) -> None:
    first = fail(http, destination)
    page.goto("/dead-letters")
    page.get_by_text("Response,").click()
    page.get_by_label("URL contains").fill("half typ")

    second = fail(http, destination)
    expect(page.locator(f"a[href='/messages/{second}']")).to_be_visible()

    assert first != second
    expect(page.get_by_label("URL contains")).to_have_value("half typ")
    expect(page.get_by_label("URL contains")).to_be_focused()
    expect(page.locator("td details:not(.confirm)[open]")).to_have_count(1)
    expect(page.locator("tr:nth-child(2) details[open]")).to_have_count(1)


def test_a_dead_letter_is_retried_with_its_button(
    page: Page, http: httpx.Client, destination: HttpServer
) -> None:
    fail(http, destination)
    destination.replies.clear()
    page.goto("/dead-letters?label=billing")

    page.get_by_role("button", name="Retry", exact=False).last.click()

    expect(page.get_by_role("status").filter(has_text="Sent again as")).to_be_visible()
    expect(page.get_by_role("heading", name="No dead letters match these filters")).to_be_visible()
    assert len(destination.wait(2, "/down")) == 2
    expect(page).to_have_url(re.compile(r"/dead-letters\?label=billing$"))


def test_deleting_asks_first_and_can_be_called_off(
    page: Page, http: httpx.Client, destination: HttpServer
) -> None:
    fail(http, destination)
    page.goto("/dead-letters")
    row = page.locator("tbody tr")

    row.locator("summary", has_text="Delete").click()
    page.keyboard.press("Escape")
    expect(row.get_by_role("button", name="Delete")).to_be_hidden()
    row.locator("summary", has_text="Delete").click()
    row.get_by_role("button", name="Delete").click()

    expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()


def test_every_button_works_without_javascript(
    browser: Browser, server: LocalQStash, http: httpx.Client, destination: HttpServer
) -> None:
    fail(http, destination)
    destination.replies.clear()
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()

    page.goto("/dead-letters")
    page.locator("tbody button.primary").click()
    expect(page.locator("body")).to_contain_text("Sent again as")
    context.close()


def test_a_lost_connection_is_said_and_found_again(
    browser: Browser, destination: HttpServer
) -> None:
    with LocalQStash() as first:
        page = browser.new_context().new_page()
        page.goto(first.url)
        port = int(first.url.rpartition(":")[2])
    expect(page.get_by_role("alert")).to_contain_text("No connection to the server")
    expect(page.locator("#live")).to_have_text("Not live")

    with LocalQStash(port=port) as second:
        expect(page.locator("#live")).to_have_text("Live")
        expect(page.get_by_role("alert")).to_be_hidden()
        assert httpx.post(
            f"{second.url}/v2/publish/{destination.url}",
            headers={"Authorization": f"Bearer {second.token}"},
        ).is_success
        expect(page.locator("tbody tr")).to_have_count(1)
    page.context.close()


def test_updates_can_be_stopped(page: Page, http: httpx.Client, destination: HttpServer) -> None:
    page.goto("/")
    page.locator("#live").click()
    polls = requests_of(page)
    expect(page.locator("#live")).to_have_text("Paused")

    publish(http, destination.url)
    page.wait_for_timeout(1500)  # that nothing is asked for has no moment to wait for
    assert polls == []
    page.locator("#live").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_hidden_tab_asks_for_nothing(page: Page) -> None:
    page.goto("/")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    polls = requests_of(page)
    page.wait_for_timeout(1500)  # as above
    assert polls == []

    with page.expect_request("**/*"):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_system_in_light_and_dark(
    browser: Browser, server: LocalQStash, scheme: Any
) -> None:
    page = browser.new_context(base_url=server.url, color_scheme=scheme).new_page()
    page.goto("/")

    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    lightness = sum(int(part) for part in re.findall(r"\d+", ground)[:3]) / 3
    assert lightness > 200 if scheme == "light" else lightness < 50
    page.context.close()


def test_a_telephone_needs_no_sideways_scrolling(
    page: Page, http: httpx.Client, destination: HttpServer
) -> None:
    message = fill(http, destination)
    page.set_viewport_size({"width": 360, "height": 740})

    for address in (*SECTIONS, f"/messages/{message}"):
        page.goto(address)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


def test_every_section_is_reached_by_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for section in page.get_by_role("navigation").get_by_role("link").all():
        section.focus()
        assert section.evaluate("one => getComputedStyle(one).outlineStyle") != "none"
