"""Signing in to the dashboard by a password, and out again."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import text, update

from app import create_app
from app.db import db
from app.jobs.operate import audit
from app.jobs.table.people import JobUserSession
from tests.support.apps import close_connections, settings
from tests.support.rows import add_row

from .pages import PREFIX, Reader, text_of

PASSWORD, NEW = "correct horse battery", "battery staple, correct"
#: What no page says to a stranger, as it would tell who there is.
WRONG = "The name or the password is wrong, or this user may not sign in."

NewApp = Callable[..., Flask]


@pytest.fixture
def new_app(app: Flask, database_url: str, tmp_path: Path) -> Iterator[NewApp]:
    """Return what makes an app whose people sign in, as of production."""
    made: list[Flask] = []

    def make(**more: Any) -> Flask:
        wanted = {"ADMIN_SIGN_IN": "password", "JOBS_DASHBOARD": "auto", **more}
        made.append(create_app(settings(database_url) | wanted, instance=tmp_path))
        return made[-1]

    yield make
    for one in made:
        with one.app_context():
            close_connections()


@pytest.fixture
def site(new_app: NewApp) -> Flask:
    return new_app()


def admin(app: Flask, *args: str, password: str = PASSWORD) -> str:
    piped = ["--password-stdin"] if args[0] in {"create-user", "set-password"} else []
    done = FlaskCliRunner(app).invoke(args=["admin", *args, *piped], input=f"{password}\n")
    assert done.exit_code == 0, done.output
    return done.output


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD, **more: Any) -> Any:
    page = client.get(f"{PREFIX}/sign-in").text
    token = re.findall(r'name="csrf" value="([^"]+)"', page)[-1]
    form = {"csrf": token, "name": name, "password": password, **more}
    return client.post(f"{PREFIX}/sign-in/check", data=form)


def signed_in(app: Flask, name: str) -> Reader:
    client = app.test_client()
    assert sign_in(client, name).status_code == 302
    return Reader(client)


def test_without_the_setting_there_is_no_sign_in(app: Flask, client: FlaskClient) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"

    for path in ("/sign-in", "/sign-in/check", "/sign-out"):
        assert client.get(PREFIX + path).status_code == 404
        assert client.post(PREFIX + path).status_code == 404


def test_where_only_the_app_knows_its_users_nobody_signs_in_here(
    app: Flask, client: FlaskClient
) -> None:
    app.extensions["jobs.dashboard.ways"] = [lambda: None]

    assert client.get(f"{PREFIX}/sign-in").status_code == 404


def test_a_stranger_is_led_to_the_sign_in_and_then_to_what_was_asked_for(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "operator")
    client = site.test_client()

    asked = client.get(f"{PREFIX}/jobs?state=dead")
    page = client.get(asked.location).text
    wanted = re.search(r'name="next" value="([^"]+)"', page)
    assert wanted
    answer = sign_in(client, "Ada", next=wanted[1])

    assert asked.status_code == 302
    assert asked.location.startswith(f"{PREFIX}/sign-in?next=")
    assert answer.location == f"{PREFIX}/jobs?state=dead"
    shown = client.get(answer.location)
    assert shown.status_code == 200
    assert "ada operator" in text_of(shown)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com/admin/jobs",
        "//evil.example.com",
        f"{PREFIX}evil",
        f"{PREFIX}/\\evil.example.com",
        f"{PREFIX}/a\r\nSet-Cookie: a=b",
        "/elsewhere",
        "javascript:alert(1)",
        f"{PREFIX}/" + "a" * 3000,
        "",
    ],
)
def test_a_sign_in_leads_nowhere_else(site: Flask, target: str) -> None:
    admin(site, "create-user", "ada", "--role", "admin")

    assert sign_in(site.test_client(), "ada", next=target).location == PREFIX


def test_it_tells_nobody_who_there_is(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    admin(site, "create-user", "gone", "--role", "admin")
    admin(site, "disable", "gone")
    client = site.test_client()

    wrong = [sign_in(client, name, "not the password") for name in ("ada", "nobody", "gone")]
    wrong.append(sign_in(client, "gone"))
    wrong.append(sign_in(client, "a\0b"))

    assert {answer.status_code for answer in wrong} == {400}
    assert all(WRONG in text_of(answer) for answer in wrong)
    assert not any("jobs_dashboard_session" in str(answer.headers) for answer in wrong)


def test_a_session_s_cookie_is_out_of_reach_and_another_one_each_time(new_app: NewApp) -> None:
    site = new_app(BASE_URL="https://jobs.example.com")
    admin(site, "create-user", "ada", "--role", "admin")
    client = site.test_client()
    client.environ_base["REMOTE_ADDR"] = "10.0.0.7"

    found = [
        next(one for one in answer.headers.getlist("Set-Cookie") if "jobs_dashboard_session" in one)
        for answer in (sign_in(client, "ada"), sign_in(client, "ada"))
    ]

    assert all(
        part in cookie
        for cookie in found
        for part in ("Secure", "HttpOnly", "SameSite=Lax", f"Path={PREFIX}")
    )
    assert found[0] != found[1]
    token = found[1].partition("=")[2].partition(";")[0]
    assert token not in str(db.session.execute(text("SELECT * FROM job_user_sessions")).all())


def test_signing_out_ends_the_session_itself(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    reader = signed_in(site, "ada")
    cookie = reader.client.get_cookie("jobs_dashboard_session", path=PREFIX)
    assert cookie

    assert "Sign out" in text_of(reader.get("/jobs"))
    reader.send("/sign-out", {})

    assert reader.client.get_cookie("jobs_dashboard_session", path=PREFIX) is None
    reader.client.set_cookie("jobs_dashboard_session", cookie.value, path=PREFIX)
    assert reader.get("/jobs").status_code == 302


@pytest.mark.parametrize(
    ("command", "password"),
    [(("disable", "ada"), ""), (("set-password", "ada"), "another password altogether")],
)
def test_who_may_sign_in_no_more_is_out_at_once(
    site: Flask, command: tuple[str, ...], password: str
) -> None:
    for name in ("ada", "eve"):
        admin(site, "create-user", name, "--role", "admin")
    readers = [signed_in(site, "ada"), signed_in(site, "ada")]

    admin(site, *command, password=password)

    assert [reader.get("/jobs").status_code for reader in readers] == [302, 302]
    assert sign_in(site.test_client(), "ada").status_code == 400


def test_another_role_counts_from_the_next_request_on(site: Flask) -> None:
    job_id = add_row(status="cancelled")
    for name in ("ada", "eve"):
        admin(site, "create-user", name, "--role", "admin")
    reader = signed_in(site, "ada")
    token = reader.token(f"/job/{job_id}")

    admin(site, "set-role", "ada", "viewer")
    form = {"job_id": job_id, "csrf": token}

    assert reader.client.post(f"{PREFIX}/delete", data=form).status_code == 403


@pytest.mark.parametrize(
    ("column", "seconds", "status"),
    [("seen_at", 3500, 200), ("seen_at", 3700, 302), ("created_at", 43300, 302)],
)
def test_a_session_ends_unused_and_in_any_case(
    site: Flask, column: str, seconds: int, status: int
) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    reader = signed_in(site, "ada")

    then = datetime.now(UTC) - timedelta(seconds=seconds)
    db.session.execute(update(JobUserSession).values({column: then}))
    db.session.commit()

    assert reader.get("/jobs").status_code == status


def test_a_page_that_updates_itself_keeps_no_session_alive(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    reader = signed_in(site, "ada")
    db.session.execute(text("UPDATE job_user_sessions SET seen_at = now() - interval '1 h'"))
    db.session.execute(text("UPDATE job_user_sessions SET seen_at = seen_at + interval '1 min'"))
    db.session.commit()
    before = db.session.scalar(text("SELECT seen_at FROM job_user_sessions"))
    db.session.commit()

    assert reader.get("/jobs", HX_Request="true").status_code == 200
    assert db.session.scalar(text("SELECT seen_at FROM job_user_sessions")) == before
    db.session.commit()
    assert reader.get("/jobs").status_code == 200
    assert db.session.scalar(text("SELECT seen_at FROM job_user_sessions")) > before
    db.session.execute(text("DELETE FROM job_user_sessions"))
    db.session.commit()
    ended = reader.get("/jobs", HX_Request="true")
    assert (ended.status_code, ended.headers["HX-Refresh"]) == (401, "true")


def test_too_many_attempts_are_looked_at_no_more_in_any_process(new_app: NewApp) -> None:
    one, other = new_app(), new_app()
    admin(one, "create-user", "ada", "--role", "admin")
    admin(one, "create-user", "bob", "--role", "admin")

    for app in [one, other] * 5:
        assert sign_in(app.test_client(), "ada", "wrong").status_code == 400
    refused = sign_in(other.test_client(), "ADA")

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    assert "These were too many attempts: try again in" in text_of(refused)
    assert sign_in(one.test_client(), "bob").status_code == 302
    db.session.execute(text("UPDATE job_sign_in_attempts SET since = since - interval '15 min'"))
    db.session.commit()
    assert sign_in(other.test_client(), "ada").status_code == 302


def test_an_address_that_tries_many_names_is_slowed_down_as_well(site: Flask) -> None:
    client = site.test_client()
    client.environ_base["REMOTE_ADDR"] = "10.0.0.7"
    sign_in(client, "nobody", "wrong")
    db.session.execute(text("UPDATE job_sign_in_attempts SET attempts = attempts + 49"))
    db.session.commit()

    assert sign_in(client, "nobody else", "wrong").status_code == 429
    assert sign_in(site.test_client(), "nobody else", "wrong").status_code == 400


def test_a_form_of_another_site_signs_nobody_in(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    form = {"name": "ada", "password": PASSWORD}

    answer = site.test_client().post(f"{PREFIX}/sign-in/check", data=form)

    assert answer.status_code == 400
    assert "jobs_dashboard_session" not in str(answer.headers)


def test_somebody_of_an_organization_sees_its_jobs_only(site: Flask) -> None:
    own, other = add_row(organization_id=1), add_row(organization_id=2)
    admin(site, "create-user", "acme", "--role", "viewer", "--organization", "1")
    reader = signed_in(site, "acme")

    assert own in reader.get("/jobs").text
    assert other not in reader.get("/jobs").text


def test_what_is_done_to_users_and_by_them_is_on_record(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "viewer", "--by", "root")
    admin(site, "set-role", "ada", "operator", "--by", "root")
    signed_in(site, "ada")
    admin(site, "disable", "ada", "--by", "root")
    admin(site, "enable", "ada", "--by", "root")

    found = [(one.actor, one.action) for one in reversed(audit.entries(limit=9))]
    assert found == [
        ("root", "user create"),
        ("root", "user role"),
        ("ada", "sign in"),
        ("root", "user disable"),
        ("root", "user enable"),
    ]
    assert PASSWORD not in str([one.filter for one in audit.entries(limit=9)])
    (user,) = json.loads(admin(site, "list", "--json"))
    assert (user["name"], user["role"], user["disabled_at"]) == ("ada", "operator", None)
    assert "ada" in admin(site, "list")


@pytest.mark.parametrize(
    ("args", "password", "said"),
    [
        (("create-user", "ada", "--role", "admin"), PASSWORD, "there is a user 'ada' already"),
        (("create-user", "ADA", "--role", "admin"), PASSWORD, "there is a user 'ADA' already"),
        (("create-user", "bob", "--role", "admin"), "short", "a password has 12 to 1000"),
        (("create-user", " bob", "--role", "admin"), PASSWORD, "is not a name of 1 to 100"),
        (("create-user", "b\nob", "--role", "admin"), PASSWORD, "is not a name of 1 to 100"),
        (("create-user", "bob", "--role", "root"), PASSWORD, "'root' is not one of"),
        (("set-password", "nobody"), PASSWORD, "there is no user 'nobody'"),
        (("set-role", "nobody", "admin"), "", "there is no user 'nobody'"),
        (("disable", "nobody"), "", "there is no user 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    site: Flask, args: tuple[str, ...], password: str, said: str
) -> None:
    admin(site, "create-user", "ada", "--role", "viewer")
    piped = ["--password-stdin"] if args[0] in {"create-user", "set-password"} else []

    done = FlaskCliRunner(site).invoke(args=["admin", *args, *piped], input=f"{password}\n")

    assert done.exit_code == 2
    assert said in done.output
    assert len(json.loads(admin(site, "list", "--json"))) == 1


def test_a_password_is_asked_for_where_there_is_a_terminal_only(site: Flask) -> None:
    done = FlaskCliRunner(site).invoke(args=["admin", "create-user", "ada", "--role", "viewer"])

    assert done.exit_code == 2
    assert "pass --password-stdin" in done.output


def change_password(reader: Reader, *, at: str = "/password", **more: str) -> Any:
    form = {"password": PASSWORD, "new": NEW, "again": NEW, **more}
    return reader.send("/password/change", form, at=at)


def test_somebody_changes_their_own_password_and_their_other_sessions_end(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "viewer", "--organization", "1")
    here, elsewhere = signed_in(site, "ada"), signed_in(site, "ada")
    before = here.client.get_cookie("jobs_dashboard_session", path=PREFIX)
    assert before
    assert f'href="{PREFIX}/password"' in here.get("/jobs").text

    answer = change_password(here)

    assert answer.location == PREFIX
    assert "Your password is changed, and every other browser signed out." in text_of(here.get(""))
    assert elsewhere.get("/jobs").status_code == 302
    elsewhere.client.set_cookie("jobs_dashboard_session", before.value, path=PREFIX)
    assert elsewhere.get("/jobs").status_code == 302
    assert sign_in(site.test_client(), "ada").status_code == 400
    assert sign_in(site.test_client(), "ada", NEW).status_code == 302
    newest = audit.entries(limit=9)[1]
    assert (newest.actor, newest.action, newest.filter) == ("ada", "user password", {"user": "ada"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password": "wrong"}, "That is not the password that you have."),
        ({"again": "another one of them"}, "The new password was written in two ways"),
        ({"new": "short", "again": "short"}, "a password has 12 to 1000 characters."),
        ({"new": PASSWORD, "again": PASSWORD}, "the new password is the one that you have"),
    ],
)
def test_a_password_that_cannot_be_leaves_the_old_one(
    site: Flask, given: dict[str, str], said: str
) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    here, elsewhere = signed_in(site, "ada"), signed_in(site, "ada")

    answer = change_password(here, **given)

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert not any(value in answer.text for value in given.values())
    assert [one.get("/jobs").status_code for one in (here, elsewhere)] == [200, 200]
    assert sign_in(site.test_client(), "ada").status_code == 302
    assert "user password" not in [one.action for one in audit.entries(limit=9)]


def test_whoever_finds_a_browser_signed_in_cannot_try_out_its_password(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    here = signed_in(site, "ada")

    for _ in range(10):
        assert change_password(here, password="wrong").status_code == 400
    refused = change_password(here)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    assert "These were too many attempts: try again in" in text_of(refused)
    db.session.execute(text("UPDATE job_sign_in_attempts SET since = since - interval '15 min'"))
    db.session.commit()
    assert change_password(here).status_code == 302


def test_a_form_of_another_site_changes_no_password(site: Flask) -> None:
    admin(site, "create-user", "ada", "--role", "admin")
    here = signed_in(site, "ada")
    form = {"password": PASSWORD, "new": NEW, "again": NEW}

    assert here.client.post(f"{PREFIX}/password/change", data=form).status_code == 400
    assert sign_in(site.test_client(), "ada").status_code == 302


def test_who_did_not_sign_in_here_has_no_password_here(app: Flask, client: FlaskClient) -> None:
    app.config["JOBS_DASHBOARD"] = "local"
    reader = Reader(client)

    assert f"{PREFIX}/password" not in reader.get("/jobs").text
    assert reader.get("/password").status_code == 404
    assert change_password(reader, at="/queues").status_code == 404
