"""A browser, the app that it looks at, and a tab in it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.support.http_server import serving

from .chromium import chromium, tab

#: A busy machine takes its time; what does not come at all fails as well half a minute later.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The dashboard's, for whoever is at this machine."""
    app.config["JOBS_DASHBOARD"] = "local"
    with serving(app) as url:
        yield f"{url}/admin/jobs"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with tab(browser) as opened:
        yield opened
