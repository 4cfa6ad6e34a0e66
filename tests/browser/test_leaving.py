"""A page that is left while it asks for something."""

import re
from threading import Event

from flask import Flask, request
from playwright.sync_api import Page, expect


def test_a_page_that_is_left_while_it_asks_complains_of_nothing(
    app: Flask, page: Page, address: str
) -> None:
    """The tab fails at its end where its console had anything to say."""
    is_over = Event()

    @app.before_request
    def hold() -> None:
        if "HX-Request" in request.headers:
            is_over.wait(20)

    page.goto(f"{address}/jobs")
    with page.expect_request(re.compile("suggest")):
        page.get_by_role("combobox", name="Filter").fill("state:dead")
    page.keyboard.press("Enter")

    page.wait_for_url("**/jobs?state=dead")
    expect(page.get_by_role("heading", name="Dead jobs")).to_be_visible()
    is_over.set()
