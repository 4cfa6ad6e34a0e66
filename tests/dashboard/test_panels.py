"""What an app adds to the dashboard: panels on a job's page, and screens."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import text

from app import create_app
from app.dashboard import Dashboard, Role, User
from app.dashboard.access import add_way
from app.dashboard.kit import Content, Link, Screen, fragment, framing, link, page, sandboxed
from app.dashboard.panels import KEY
from app.db import db
from app.jobs import JobExecution, StartRefused
from tests.support.apps import close_connections, settings
from tests.support.rows import add_row

from .pages import Reader, text_of

MARKUP = "<script>alert(1)</script>"

Show = Callable[[JobExecution], Content]


@pytest.fixture
def dashboard(app: Flask) -> Dashboard:
    """The dashboard of the app, with no panel."""
    made = Dashboard()
    app.extensions[KEY] = made.panels  # as `init_app` does, which it did already
    return made


def broken(_: JobExecution) -> Content:
    db.session.execute(text("SELECT nothing FROM nowhere"))
    raise AssertionError


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("all is paid", "Invoice all is paid"),
        ({"Number": 7, "Paid": None}, "Invoice Number 7 Paid —"),
        ({"Number": Link("seven", "/invoices/7")}, "Invoice Number seven"),
        (Markup("<b>as it is</b>"), "Invoice as it is"),
    ],
)
def test_a_panel_says_what_its_function_returns(
    dashboard: Dashboard, reader: Reader, content: Content, said: str
) -> None:
    dashboard.panel("Invoice")(lambda _: content)

    assert said in text_of(reader.get(f"/job/{add_row()}"))


@pytest.mark.parametrize("content", [None, "", {}])
def test_nothing_to_say_is_no_panel(dashboard: Dashboard, reader: Reader, content: Content) -> None:
    dashboard.panel("Invoice")(lambda _: content)

    assert "Invoice" not in reader.get(f"/job/{add_row()}").text


def test_a_panel_is_for_its_types_and_roles(
    app: Flask, dashboard: Dashboard, reader: Reader
) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    add_way(app, lambda: User("ann", Role.VIEWER))
    dashboard.panel("For samples", job_types=["sample"])(lambda row: row.job_id)
    dashboard.panel("For others", job_types=["other"])(lambda row: row.job_id)
    dashboard.panel("For operators", needs=Role.OPERATOR)(lambda row: row.job_id)

    shown = reader.get(f"/job/{add_row()}").text

    assert "For samples" in shown
    assert "For others" not in shown
    assert "For operators" not in shown


@pytest.mark.parametrize(
    ("show", "named"),
    [
        (broken, "ProgrammingError"),
        (lambda _: {"Site": Link("here", "javascript:alert(1)")}, "ValueError"),
    ],
)
def test_a_panel_that_fails_leaves_the_page_whole(
    dashboard: Dashboard, reader: Reader, show: Show, named: str
) -> None:
    dashboard.panel("First")(show)
    dashboard.panel("Second")(lambda _: str(db.session.scalar(text("SELECT 42"))))

    answer = reader.get(f"/job/{add_row()}")

    assert answer.status_code == 200
    assert f"First This panel failed: {named} Second 42" in text_of(answer)
    assert "javascript:" not in answer.text


def test_markup_in_a_panel_is_shown_as_text(
    dashboard: Dashboard, reader: Reader, tmp_path: Path
) -> None:
    template = tmp_path / "part.html"
    template.write_text("<p>{{ said }}</p>")
    dashboard.panel(MARKUP)(lambda _: {MARKUP: MARKUP, "link": Link(MARKUP, f"/{MARKUP}")})
    dashboard.panel("Text")(lambda _: MARKUP)
    dashboard.panel("Part")(lambda _: fragment(template, said=MARKUP))

    shown = reader.get(f"/job/{add_row()}").text

    assert shown.count("alert(1)") == 7
    assert MARKUP not in shown


def test_a_screen_of_the_apps_own_is_in_the_navigation(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "invoices.html"
    template.write_text(
        '{% extends "base.html" %}{% block title %}Invoices{% endblock %}'
        "{% block content %}<h1>{{ said }}</h1>{% endblock %}"
    )
    screen = Screen("invoices", "Invoices")

    @screen.page("/invoices")
    def index() -> ResponseReturnValue:
        return framing(page(template, said=MARKUP))

    @screen.page("/invoices/letter")
    def letter() -> ResponseReturnValue:
        return sandboxed(MARKUP)

    @screen.page("/invoices/where")
    def where() -> ResponseReturnValue:
        return link("invoices_letter")

    monkeypatch.setattr("app.screens.add_to", lambda dashboard, _: dashboard.add_screen(screen))
    made = create_app(settings(app.config["SQLALCHEMY_DATABASE_URI"]))
    made.config["JOBS_DASHBOARD"] = "local"
    reader = Reader(made.test_client())
    answer, frame = reader.get("/invoices"), reader.get("/invoices/letter")

    assert 'href="/admin/jobs/invoices" aria-current="page">Invoices' in answer.text
    assert MARKUP not in answer.text
    assert answer.headers["Content-Security-Policy"].endswith("; frame-src 'self'")
    assert frame.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in frame.headers["Content-Security-Policy"]
    assert reader.get("/invoices/where").text == "/admin/jobs/invoices/letter"
    assert "frame-src" not in reader.get("/jobs").headers["Content-Security-Policy"]
    with made.app_context():
        close_connections()


def test_a_screens_name_is_taken_once() -> None:
    dashboard = Dashboard()
    dashboard.add_screen(Screen("invoices", "Invoices"))

    for name in ("invoices", "jobs"):
        with pytest.raises(StartRefused, match=f"has a screen '{name}': name yours otherwise"):
            dashboard.add_screen(Screen(name, "Other"))


def test_a_panel_is_still_the_function_that_it_was(dashboard: Dashboard) -> None:
    @dashboard.panel("Late")
    def late(row: JobExecution) -> Content:
        return row.job_id

    assert [one.title for one in dashboard.panels] == ["Late"]
    assert late(JobExecution(job_id="7")) == "7"
