"""Users of the dashboard, made and changed by an admin in a browser."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from app.dashboard import Role, User
from app.db import db
from app.jobs.operate import audit, people, sessions

from .pages import PREFIX, Reader, text_of

PASSWORD = "correct horse battery"
MARKUP = "<script>alert(1)</script>"


def make(name: str, role: Any = "viewer", **more: Any) -> None:
    people.create(name, PASSWORD, role, by="maker", **more)


def session_of(name: str, password: str = PASSWORD) -> str | None:
    return sessions.sign_in(name, password, idle=3600, longest=3600)


def is_over(session: str | None) -> bool:
    return sessions.find(session or "", idle=3600, longest=3600, uses=False) is None


def noted() -> list[str]:
    db.session.rollback()
    found = reversed(audit.entries(limit=20))
    return [row.action for row in found if row.actor != "maker" and row.action != "sign in"]


def send(reader: Reader, action: str, **form: str) -> Any:
    return reader.send(f"/users/{action}", form, at="/users")


def test_it_lists_who_there_is(reader: Reader) -> None:
    make("ada", "admin")
    make("acme", organization_id=42)
    session_of("ada")

    page = text_of(reader.get("/users"))

    assert "acme viewer 42 never" in page
    assert "ada admin all just now" in page
    assert "Nobody signs in by a password here" in page


def test_somebody_is_made_with_a_password_that_is_shown_once(reader: Reader) -> None:
    answer = send(reader, "create", name="bob", role="operator", organization="42", password="")
    shown = re.search(r'id="new-password">([^<]+)<', answer.text)

    assert shown
    assert shown[1] not in reader.get("/users").text
    assert "no-store" in answer.headers["Cache-Control"]
    session = session_of("bob", shown[1])
    found = sessions.find(session or "", idle=60, longest=60, uses=False)
    assert found == sessions.Person("bob", "operator", 42)
    assert noted() == ["user create"]


def test_somebody_is_made_with_a_given_password(reader: Reader) -> None:
    answer = send(reader, "create", name="bob", role="viewer", password=PASSWORD)

    assert answer.location == f"{PREFIX}/users"
    assert "bob is made, as viewer." in text_of(reader.get("/users"))
    assert session_of("bob")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": ""}, "is not a name of 1 to 100 characters"),
        ({"name": MARKUP + "\n"}, "is not a name of 1 to 100 characters"),
        ({"name": "ada"}, "there is a user 'ada' already"),
        ({"role": "king"}, "role: 'king' is none of viewer, operator, admin"),
        ({"organization": "acme"}, "organization: 'acme' is not"),
        ({"password": "short"}, "a password has 12 to 1000 characters"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    reader: Reader, form: dict[str, str], said: str
) -> None:
    make("ada", "admin")
    answer = send(reader, "create", **{"name": "bob", "role": "viewer"} | form)

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert MARKUP not in answer.text
    assert [one.name for one in people.everybody()] == ["ada"]
    assert noted() == []


def test_a_role_is_changed(reader: Reader) -> None:
    make("bob")
    session = session_of("bob")

    send(reader, "role", name="bob", role="operator")

    assert "bob is operator now." in text_of(reader.get("/users"))
    found = sessions.find(session or "", idle=60, longest=60, uses=False)
    assert found
    assert found.role == "operator"
    assert noted() == ["user role"]


def test_a_new_password_ends_the_sessions(reader: Reader) -> None:
    make("bob")
    session = session_of("bob")

    answer = send(reader, "password", name="bob", password="")
    shown = re.search(r'id="new-password">([^<]+)<', answer.text)

    assert is_over(session)
    assert shown
    assert session_of("bob") is None
    assert session_of("bob", shown[1])
    assert noted() == ["user password"]


def test_somebody_is_disabled_and_enabled(reader: Reader) -> None:
    make("bob")
    session = session_of("bob")

    send(reader, "disable", name="bob")
    shown = text_of(reader.get("/users"))

    assert is_over(session)
    assert session_of("bob") is None
    assert "bob disabled" in shown
    send(reader, "enable", name="bob")
    assert session_of("bob")
    assert noted() == ["user disable", "user enable"]


def test_somebody_is_removed_with_their_sessions(reader: Reader) -> None:
    make("bob")
    session = session_of("bob")

    send(reader, "remove", name="bob")

    assert is_over(session)
    assert people.everybody() == []
    assert noted() == ["user remove"]


@pytest.mark.parametrize(
    ("action", "form"), [("disable", {}), ("remove", {}), ("role", {"role": "viewer"})]
)
def test_the_last_admin_stays(reader: Reader, action: str, form: dict[str, str]) -> None:
    make("ada", "admin")
    make("acme", "admin", organization_id=1)
    make("gone", "admin")
    people.disable("gone", by="maker")

    send(reader, action, name="ada", **form)

    assert "Nothing was changed: ada is the last admin" in text_of(reader.get("/users"))
    assert noted() == []
    make("eve", "admin")
    send(reader, action, name="ada", **form)
    assert noted() == [f"user {action}"]


def test_the_command_line_keeps_the_last_admin_too(cli: FlaskCliRunner) -> None:
    make("ada", "admin")
    make("bob")

    refused = cli.invoke(args=["admin", "remove", "ada", "--yes"])

    assert refused.exit_code == 2
    assert "ada is the last admin" in refused.output
    assert cli.invoke(args=["admin", "remove", "bob"]).exit_code == 2
    assert cli.invoke(args=["admin", "remove", "bob", "--yes"]).exit_code == 0
    assert [one.name for one in people.everybody()] == ["ada"]


def test_one_that_there_is_not_is_said_so(reader: Reader) -> None:
    make("ada", "admin")
    for action in ("disable", "enable", "remove", "password"):
        send(reader, action, name=MARKUP)
        page = reader.get("/users").text

        assert "Nothing was changed: there is no user" in page
        assert MARKUP not in page


def test_markup_in_a_name_is_shown_as_text(reader: Reader) -> None:
    make(MARKUP)

    assert MARKUP not in reader.get("/users").text


@pytest.mark.parametrize(
    "user",
    [User("olga", Role.OPERATOR), User("vera", Role.VIEWER), User("acme", Role.ADMIN, 1)],
)
def test_nobody_else_sees_or_changes_them(app: Flask, client: FlaskClient, user: User) -> None:
    make("ada", "admin")
    app.extensions["jobs.dashboard.ways"] = [lambda: user]

    assert client.get(f"{PREFIX}/users").status_code == 403
    assert f"{PREFIX}/users" not in client.get(f"{PREFIX}/jobs").text
    for action in ("create", "role", "password", "disable", "enable", "remove"):
        answer = client.post(f"{PREFIX}/users/{action}", data={"name": "ada", "role": "viewer"})
        assert answer.status_code == 403
    assert people.everybody()[0].role == "admin"


def test_without_the_forms_token_nothing_is_changed(reader: Reader) -> None:
    make("bob")

    answer = reader.client.post(f"{PREFIX}/users/remove", data={"name": "bob"})

    assert answer.status_code == 400
    assert [one.name for one in people.everybody()] == ["bob"]
