"""People sign in to the dashboard in a real browser, and do what their role may."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from app import create_app
from app.db import db
from tests.browser.axe import axe, findings
from tests.support.apps import close_connections, settings
from tests.support.http_server import serving
from tests.support.rows import Rows, add_row

from .chromium import tab

__all__ = ["axe"]

PASSWORD = "correct horse battery"
MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def address(app: Flask, database_url: str, tmp_path: Path) -> Iterator[str]:
    wanted = {"ADMIN_SIGN_IN": "password", "JOBS_DASHBOARD": "auto"}
    site = create_app(settings(database_url) | wanted, instance=tmp_path)
    for role in ("viewer", "operator", "admin"):
        args = ["admin", "create-user", f"the-{role}", "--role", role, "--password-stdin"]
        done = FlaskCliRunner(site).invoke(args=args, input=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output
    with serving(site) as url:
        yield f"{url}/admin/jobs"
    with site.app_context():
        close_connections()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; what a page says in the place of a refused one is said in the console, too."""
    with tab(browser, but="the server responded with a status of 4") as opened:
        yield opened


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def change(statement: str) -> None:
    db.session.execute(text(statement))
    db.session.commit()


def send(page: Page, action: str, **values: str) -> None:
    """Send a form that the page does not offer, with the token that its own forms have."""
    page.evaluate(
        """([action, values]) => {
            const form = document.createElement('form');
            form.method = 'post';
            form.action = action;
            values.csrf = document.querySelector('input[name=csrf]').value;
            for (const [name, value] of Object.entries(values)) {
                const input = form.appendChild(document.createElement('input'));
                [input.name, input.value] = [name, value];
            }
            document.body.appendChild(form).submit();
        }""",
        [action, values],
    )


def test_somebody_signs_in_where_they_wanted_to_go_and_out_again(page: Page, address: str) -> None:
    page.goto(f"{address}/jobs?state=dead")
    sign_in(page, "the-viewer", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong")
    expect(page.get_by_label("Password")).to_be_focused()

    sign_in(page, "the-viewer")
    expect(page).to_have_url(f"{address}/jobs?state=dead")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    page.goto(f"{address}/jobs")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.locator("table.list")).to_have_count(0)


def test_after_too_many_attempts_the_right_password_does_not_help(page: Page, address: str) -> None:
    page.goto(address)
    sign_in(page, "the-admin", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    change("UPDATE job_sign_in_attempts SET attempts = 10")

    sign_in(page, "the-admin")
    expect(page.get_by_role("alert")).to_contain_text("These were too many attempts: try again in")
    change("UPDATE job_sign_in_attempts SET since = since - interval '15 minutes'")
    sign_in(page, "the-admin")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_a_page_that_is_left_open_leads_to_the_sign_in_when_its_session_ends(
    page: Page, address: str
) -> None:
    page.goto(address)
    sign_in(page, "the-viewer")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    change("UPDATE job_user_sessions SET seen_at = now() - interval '2 hours'")

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_somebody_changes_their_password_and_is_out_elsewhere(
    browser: Browser, page: Page, address: str, axe: str, scheme: Any
) -> None:
    context = browser.new_context()
    other = context.new_page()
    for one in (page, other):
        one.goto(address)
        sign_in(one, "the-viewer")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})

    page.get_by_role("link", name="Password").click()
    page.get_by_label("The one that you have").fill("wrong")
    page.get_by_label("The new one of 12 characters").fill("battery staple, correct")
    page.get_by_label("The new one again").fill("battery staple, correct")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("That is not the password that you have.")
    expect(page.get_by_label("The one that you have")).to_be_focused()
    assert findings(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("The one that you have").fill(PASSWORD)
    page.get_by_label("The new one of 12 characters").fill("battery staple, correct")
    page.get_by_label("The new one again").fill("battery staple, correct")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)
    sign_in(other, "the-viewer", "battery staple, correct")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    context.close()


#: What each role is offered of a dead job, the smallest first; the others are refused it.
OFFERED = {"viewer": [], "operator": ["Retry"], "admin": ["Retry", "Delete"]}


@pytest.mark.parametrize("role", OFFERED)
def test_a_role_is_offered_what_it_may_and_refused_the_rest(
    page: Page, address: str, rows: Rows, role: str
) -> None:
    job_id = add_row(
        job_type="send-email",
        status="failed",
        dead_at=db.session.execute(text("SELECT now()")).scalar_one(),
        payload={"payload": {"note": "only for some"}},
    )
    page.goto(f"{address}/job/{job_id}")
    sign_in(page, f"the-{role}")

    expect(page.locator("h1 .badge")).to_have_text("dead")
    actions = page.locator(".actions").get_by_role("button").all_inner_texts()
    assert [name for name in ("Retry", "Delete") if name in " ".join(actions)] == OFFERED[role]
    assert page.get_by_text("only for some").count() == (role != "viewer")
    for needed, action in (("operator", "retry"), ("admin", "delete")):
        if action.capitalize() not in OFFERED[role]:
            page.goto(f"{address}/job/{job_id}")
            send(page, f"{address}/{action}", job_id=job_id)
            said = f"This needs the role {needed}; the-{role} is"
            expect(page.locator("main")).to_contain_text(said)
    assert rows[job_id].dead_at is not None
    for screen in ("New job", "Schedules"):
        expect(page.get_by_role("navigation").get_by_role("link", name=screen)).to_have_count(
            int(screen != "New job" or role == "admin")
        )


def test_what_one_role_may_not_list_is_a_page_that_says_why(page: Page, address: str) -> None:
    page.goto(f"{address}/new")
    sign_in(page, "the-operator")

    expect(page.locator("main")).to_contain_text(
        re.compile("This needs the role admin; the-operator is an operator")
    )


def test_an_admin_makes_users_and_disables_one_who_is_signed_in(
    browser: Browser, page: Page, address: str
) -> None:
    context = browser.new_context()
    other = context.new_page()
    other.goto(address)
    sign_in(other, "the-viewer")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto(f"{address}/users")
    sign_in(page, "the-admin")

    form = page.locator("form.new")
    form.get_by_label("Name").fill(MARKUP)
    form.get_by_role("button", name="Make the user").click()
    expect(page.locator("table.list")).to_contain_text(MARKUP)
    row = page.locator("tr", has=page.get_by_text("the-viewer", exact=True))
    row.locator("summary", has_text="Disable").click()
    row.get_by_role("button", name="Disable", exact=True).click()
    expect(row).to_contain_text("disabled")

    expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)
    context.close()
    names = "SELECT name FROM job_users WHERE disabled_at IS NOT NULL"
    assert db.session.execute(text(names)).scalars().all() == ["the-viewer"]
