"""Who may see the dashboard, and do what there."""

import socket
from typing import Any

import pytest
from flask import Flask, redirect
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from app import create_app
from app.dashboard import Dashboard, Role, User
from app.jobs import DatabaseUnavailable, StartRefused
from tests.support.apps import settings
from tests.support.rows import Rows, add_row, row_of

from .pages import PREFIX, Reader, text_of

#: An address of each kind: a page, an action, a static file, and one that there is not.
ADDRESSES = ("", "/jobs", "/job/x", "/retry", "/static/dashboard.css", "/nowhere")


@pytest.fixture
def known(app: Flask) -> dict[str, Any]:
    """Make the app know whoever stands under "user" here, and nobody at this machine."""
    users: dict[str, Any] = {"user": None}
    app.config["JOBS_DASHBOARD"] = "auto"
    app.extensions["jobs.dashboard.ways"] = [lambda: users["user"]]
    return users


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_in_production_there_is_none_unless_somebody_may_see_it(
    app: Flask, client: FlaskClient, address: str, method: str
) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"

    answer = client.open(PREFIX + address, method=method)

    assert answer.status_code == 404
    assert answer.text == client.get("/nothing-here").text
    assert "Set-Cookie" not in answer.headers


def test_it_can_be_switched_off(app: Flask, reader: Reader) -> None:
    app.config["JOBS_DASHBOARD"] = "off"

    assert reader.get("/jobs").status_code == 404


def test_in_development_it_is_open_on_this_machine(reader: Reader) -> None:
    assert reader.get("/jobs").status_code == 200


def test_debug_mode_opens_it_on_this_machine(app: Flask, client: FlaskClient) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    app.debug = True

    assert client.get(f"{PREFIX}/jobs").status_code == 200


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_HOST": "evil.example.com"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_CF_CONNECTING_IP": "127.0.0.1"},
    ],
)
def test_it_is_closed_to_what_is_not_surely_this_machine(
    reader: Reader, environ: dict[str, str]
) -> None:
    answer = reader.client.get(f"{PREFIX}/jobs", environ_overrides=environ)

    assert answer.status_code == 404


def test_a_trusted_proxy_s_header_does_not_make_a_client_local(app: Flask, reader: Reader) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    elsewhere = {"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}

    assert reader.client.get(f"{PREFIX}/jobs", environ_overrides=elsewhere).status_code == 404


def test_the_socket_counts_and_not_what_the_environment_says(reader: Reader) -> None:
    """A Unix socket's other end may be a proxy that says nothing of itself."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ = {"gunicorn.socket": ours, "REMOTE_ADDR": "127.0.0.1"}
        assert reader.client.get(f"{PREFIX}/jobs", environ_overrides=environ).status_code == 404


@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
def test_a_viewer_acts_on_nothing(
    known: dict[str, Any], client: FlaskClient, action: str, rows: Rows
) -> None:
    job_id = add_row(status="cancelled")
    known["user"] = User("vera", Role.VIEWER)

    page = client.get(f"{PREFIX}/job/{job_id}")
    answer = client.post(f"{PREFIX}/{action}", data={"job_id": job_id})

    assert f"{PREFIX}/{action}" not in page.text
    assert answer.status_code == 403
    assert "This needs the role" in text_of(answer)
    assert "vera is a viewer" in text_of(answer)
    assert row_of(job_id).status == "cancelled"


def test_a_viewer_sees_neither_payload_nor_result(
    known: dict[str, Any], client: FlaskClient
) -> None:
    job_id = add_row(
        status="completed", payload={"payload": {"a": "in-there"}}, result={"b": "came-out"}
    )

    known["user"] = User("vera", Role.VIEWER)
    seen = client.get(f"{PREFIX}/job/{job_id}").text
    known["user"] = User("otto", Role.OPERATOR)
    shown = client.get(f"{PREFIX}/job/{job_id}").text

    assert "in-there" not in seen
    assert "came-out" not in seen
    assert "in-there" in shown
    assert "came-out" in shown


def test_an_operator_deletes_nothing(known: dict[str, Any], client: FlaskClient) -> None:
    job_id = add_row(status="cancelled")
    known["user"] = User("otto", Role.OPERATOR)

    answer = client.post(f"{PREFIX}/delete", data={"job_id": job_id})

    assert answer.status_code == 403
    assert "otto is an operator" in text_of(answer)
    assert row_of(job_id).status == "cancelled"


def test_somebody_of_an_organization_sees_and_changes_its_jobs_only(
    known: dict[str, Any], client: FlaskClient
) -> None:
    own, other = add_row(organization_id=1), add_row(organization_id=2, status="cancelled")
    known["user"] = User("ada", Role.ADMIN, organization_id=1)
    reader = Reader(client)

    listed = reader.get("/jobs")
    asked = reader.get("/jobs?organization=2")

    assert own in listed.text
    assert other not in listed.text
    assert "All 1" in text_of(listed)
    assert other not in asked.text
    assert reader.get(f"/job/{other}").status_code == 404
    assert reader.get(f"/find?id={other[:12]}").status_code == 404
    at = f"/job/{own}"
    assert reader.send("/retry", {"job_id": other}, at=at).status_code == 404
    assert reader.send("/delete", {"job_id": other}, at=at).status_code == 404
    assert row_of(other).status == "cancelled"


def test_the_app_may_lead_strangers_to_its_own_sign_in(
    known: dict[str, Any], client: FlaskClient
) -> None:
    known["user"] = redirect("/sign-in")

    answer = client.get(f"{PREFIX}/jobs")

    assert answer.status_code == 302
    assert answer.location == "/sign-in"


@pytest.mark.parametrize("given", ["", "nonsense", None])
def test_a_form_of_another_site_changes_nothing(reader: Reader, given: str | None) -> None:
    job_id = add_row(status="cancelled")
    reader.get("/jobs")

    form = {"job_id": job_id} if given is None else {"job_id": job_id, "csrf": given}
    answer = reader.client.post(f"{PREFIX}/retry", data=form)

    assert answer.status_code == 400
    assert "This form is no longer valid" in text_of(answer)
    assert row_of(job_id).status == "cancelled"


def test_a_form_is_good_in_its_own_browser_only(app: Flask, reader: Reader) -> None:
    job_id = add_row(status="cancelled")
    token = reader.token(f"/job/{job_id}")

    answer = app.test_client().post(f"{PREFIX}/retry", data={"job_id": job_id, "csrf": token})

    assert answer.status_code == 400
    assert row_of(job_id).status == "cancelled"


def test_a_browser_that_says_the_form_is_of_another_site_is_believed(reader: Reader) -> None:
    job_id = add_row(status="cancelled")
    form = {"job_id": job_id, "csrf": reader.token(f"/job/{job_id}")}

    answer = reader.client.post(
        f"{PREFIX}/retry", data=form, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 400
    assert row_of(job_id).status == "cancelled"


def test_an_action_that_is_only_looked_at_changes_nothing(reader: Reader) -> None:
    job_id = add_row(status="cancelled")

    answer = reader.get(f"/retry?job_id={job_id}")

    assert answer.status_code == 302
    assert row_of(job_id).status == "cancelled"


def test_its_cookies_are_for_it_alone(reader: Reader) -> None:
    job_id = add_row(status="cancelled")

    cookies = reader.get(f"/job/{job_id}").headers.getlist("Set-Cookie")

    assert len(cookies) == 1
    assert all(one in cookies[0] for one in ("HttpOnly", "SameSite=Strict", f"Path={PREFIX}"))


def test_every_page_has_the_policy(reader: Reader) -> None:
    for path in ("/jobs", "/nowhere", "/static/dashboard.css"):
        headers = reader.get(path).headers
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
    assert "no-store" in reader.get("/jobs").headers["Cache-Control"]


def test_a_page_that_there_is_not_is_said_so(reader: Reader) -> None:
    answer = reader.get("/nowhere")

    assert answer.status_code == 404
    assert "There is no such page." in text_of(answer)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JOBS_DASHBOARD", "open", "is none of: auto, local, off"),
        ("JOBS_DASHBOARD_COLOUR", "pink", "is none of: grey, green"),
        *(
            ("JOBS_DASHBOARD_TIMEZONE", zone, "is no time zone like Europe/Berlin")
            for zone in ("Berlin", "", "Local", "Europe", "../UTC")
        ),
        ("JOBS_DASHBOARD_PREFIX", "jobs/", "is not a path like /admin/jobs"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(StartRefused, match=said):
        create_app({**settings(""), name: value})


def test_without_a_key_for_its_forms_it_says_so(app: Flask) -> None:
    other = Flask("other")
    other.extensions["jobs"] = app.extensions["jobs"]
    other.config.update({**app.config, "SECRET_KEY": ""})

    with pytest.raises(StartRefused, match="it signs the dashboard's forms"):
        Dashboard(other)


def test_it_needs_the_jobs_first() -> None:
    with pytest.raises(StartRefused, match="call Jobs"):
        Dashboard(Flask("other"))


def test_the_instance_is_in_every_title(app: Flask, reader: Reader) -> None:
    app.config.update(JOBS_DASHBOARD_NAME="staging <b>", JOBS_DASHBOARD_COLOUR="amber")

    page = reader.get("/jobs").text

    assert "<title>Jobs · staging &lt;b&gt; · Jobs</title>" in page
    assert 'class="of-amber"' in page


def test_in_development_the_app_s_own_address_leads_to_it(client: FlaskClient) -> None:
    answer = client.get("/")

    assert answer.status_code == 302
    assert answer.location == PREFIX


def test_another_organization_s_filter_is_refused_and_never_taken_for_one_s_own(
    known: dict[str, Any], client: FlaskClient
) -> None:
    own = add_row(organization_id=1, status="cancelled")
    known["user"] = User("ada", Role.ADMIN, organization_id=1)
    reader = Reader(client)

    form = {"action": "delete", "which": "matching", "organization": "2"}
    answers = [
        reader.get("/jobs?organization=2"),
        *(reader.send(action, form, at=f"/job/{own}") for action in ("/preview", "/act")),
    ]

    assert [answer.status_code for answer in answers] == [400] * 3
    assert all("you see the jobs of 1 only" in text_of(answer) for answer in answers)
    assert row_of(own).status == "cancelled"


def test_a_stranger_is_not_told_where_the_database_is(app: Flask, client: FlaskClient) -> None:
    def lost() -> User:
        raise DatabaseUnavailable("connection to 10.0.0.7 failed")

    app.config["JOBS_DASHBOARD"] = "auto"
    app.extensions["jobs.dashboard.ways"] = [lost]

    for answer in (client.get(f"{PREFIX}/jobs"), client.post(f"{PREFIX}/retry")):
        assert answer.status_code == 503
        assert "10.0.0.7" not in answer.text


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/find?id=a%00b", None),
        ("/preview", {"action": "retry", "which": "selected", "job_id": "a\0b"}),
        ("/act", {"action": "retry", "which": "selected", "job_id": "a\0b"}),
        ("/dead-letters/redrive", {"dlq_id": "a\0b"}),
        ("/dead-letters/delete", {"dlq_id": "a\0b"}),
    ],
)
def test_what_no_text_in_the_database_can_be_is_a_clear_400(
    reader: Reader, path: str, form: dict[str, str] | None
) -> None:
    at = f"/job/{add_row()}"

    answer = reader.get(path) if form is None else reader.send(path, form, at=at)

    assert answer.status_code == 400
    assert "has a character that no text in the database can have" in text_of(answer)
