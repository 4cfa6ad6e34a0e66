"""Headless Chromium for the tests that look at pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium, or skip the test where there is none.

    The variable CHROMIUM names another one.
    """
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: install it, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, *, but: str | None = None, **options: Any) -> Iterator[Page]:
    """Open a tab; fail at its end where its console had anything to say, such as of the policy.

    Args:
        browser: Whose tab it is.
        but: What may be said, as it is about a page that is asked for on purpose.
        **options: Those of the browser's context, such as its `viewport`.
    """
    context = browser.new_context(**options)
    opened = context.new_page()
    complaints = complaints_of(opened)
    try:
        yield opened
        said = said_by_now(opened, complaints)
    finally:
        context.close()
    others = [one for one in said if but is None or but not in one]
    assert not others, others


def complaints_of(page: Page) -> list[str]:
    """Return a list that fills with what the page's console reports from now on."""
    found: list[str] = []
    page.on("console", lambda message: found.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    return found


def said_by_now(page: Page, complaints: list[str]) -> list[str]:
    """Return what the console has reported before the page is closed, which breaks off requests."""
    page.wait_for_timeout(0)  # a way to the browser and back, behind what is already on its way
    return list(complaints)
