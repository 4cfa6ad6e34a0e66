"""The template's own screens: the webhook inbox, the mailbox, the artifacts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from qstash import QStash
from sqlalchemy import insert

from app import screens
from app.artifacts import Artifact
from app.dashboard import Dashboard, Role, User
from app.dashboard.access import add_way
from app.db import db
from app.families.email.mailbox import write_email
from app.families.webhooks.models import WebhookEvent
from app.jobs.operate import audit
from app.jobs.testing import drain
from tests.support.rows import add_row, row_of
from tests.support.webhooks import EVENTS, signed, stored

from .pages import Reader, text_of

MARKUP = "<script>alert(1)</script>"


def webhook(**values: Any) -> int:
    given = {
        "source": "github",
        "event": "push",
        "delivery_id": str(uuid4()),
        "verified": True,
        "headers": {"x-github-event": "push"},
        "body": json.dumps({"ref": "main", "password": "hunter2"}).encode(),
        **values,
    }
    made = db.session.execute(insert(WebhookEvent).values(**given).returning(WebhookEvent.id))
    row_id = made.scalar_one()
    db.session.commit()
    return row_id


def artifact(**values: Any) -> str:
    now = datetime.now(UTC)
    given = {
        "id": str(uuid4()),
        "name": "users.csv",
        "key": str(uuid4()),
        "media_type": "text/csv",
        "size": 12_345,
        "sha256": "0" * 64,
        "expires_at": now + timedelta(days=7),
        **values,
    }
    db.session.execute(insert(Artifact).values(**given))
    db.session.commit()
    return str(given["id"])


@pytest.fixture
def mailbox(app: Flask, tmp_path: Path) -> Path:
    app.config["MAILBOX_DIR"] = str(tmp_path / "mailbox")
    return tmp_path / "mailbox"


def email(**values: Any) -> str:
    params = {
        "from": "Acme <mail@example.com>",
        "to": "ann@example.com",
        "subject": "Welcome",
        "html": "<h1 style='color: red'>Hello Ann</h1>",
        "text": "Hello Ann",
        "tags": [{"name": "template", "value": "welcome"}],
        **values,
    }
    return write_email(params)


def as_user(app: Flask, role: Role, organization_id: Any = None) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    add_way(app, lambda: User("ann", role, organization_id))


def test_the_inbox_lists_webhooks_with_their_jobs(reader: Reader) -> None:
    webhook(event="old", job_id=add_row(status="completed"))
    webhook(event="new", source="stripe")

    shown = text_of(reader.get("/webhooks"))

    assert shown.index("new") < shown.index("old")
    assert "completed" in shown
    found = reader.get("/webhooks?source=stripe").text
    assert "new" in found
    assert ">old<" not in found
    assert "No webhooks match" in reader.get("/webhooks?event=none").text


def test_the_inbox_has_pages(reader: Reader) -> None:
    ids = [webhook(event=f"event-{number}.") for number in range(51)]

    first = reader.get("/webhooks").text

    assert "event-50." in first
    assert "event-0." not in first
    assert f"/webhooks?before={ids[1]}" in first
    assert "event-0." in reader.get(f"/webhooks?before={ids[1]}").text


def test_a_webhook_is_shown_without_secrets_and_its_body_to_operators_only(
    app: Flask, reader: Reader
) -> None:
    row_id = webhook()

    shown = reader.get(f"/webhooks/{row_id}").text
    assert "x-github-event: push" in shown
    assert "main" in shown
    assert "hunter2" not in shown

    as_user(app, Role.VIEWER)
    shown = reader.get(f"/webhooks/{row_id}").text
    assert "Bodies are shown to operators." in shown
    assert "main&#34;" not in shown
    assert "Replay" not in shown


def test_replay_makes_a_new_job_and_is_on_record(reader: Reader, qstash: QStash) -> None:
    row_id = webhook()

    answer = reader.send("/webhooks/replay", {"webhook_id": row_id}, at=f"/webhooks/{row_id}")

    assert answer.location.endswith(f"/webhooks/{row_id}")
    db.session.rollback()
    made = db.session.get(WebhookEvent, row_id)
    assert made is not None
    assert row_of(str(made.job_id)).job_type == "process-webhook"
    assert f"is processed again, by job {made.job_id}" in reader.get(f"/webhooks/{row_id}").text
    [entry] = audit.entries(limit=5)
    assert (entry.action, entry.filter) == ("webhook replay", {"webhook": row_id})


@pytest.mark.parametrize(
    ("given", "status"), [("999", 302), ("", 400), ("x", 400), ("9" * 30, 400), ("-1", 400)]
)
def test_a_webhook_that_there_is_not_is_not_replayed(
    reader: Reader, given: str, status: int
) -> None:
    at = f"/webhooks/{webhook()}"

    assert reader.send("/webhooks/replay", {"webhook_id": given}, at=at).status_code == status
    if status == 302:
        assert "Nothing was replayed: no webhook 999" in text_of(reader.get("/webhooks"))
    assert reader.get("/webhooks/999").status_code == 404


def test_viewers_replay_nothing(app: Flask, reader: Reader) -> None:
    as_user(app, Role.VIEWER)

    answer = reader.client.post("/admin/jobs/webhooks/replay", data={"webhook_id": webhook()})

    assert answer.status_code == 403


def test_a_job_shows_the_webhook_that_it_processes(reader: Reader) -> None:
    row_id = webhook(delivery_id="d-1")
    payload = {"payload": {"source": "github", "event": "push", "deliveryId": "d-1"}}
    job_id = add_row(job_type="process-webhook", payload=payload)

    shown = reader.get(f"/job/{job_id}")

    assert "Webhook Source github Event push Delivery d-1 Verified yes" in text_of(shown)
    assert f'href="/admin/jobs/webhooks/{row_id}"' in shown.text


@pytest.mark.parametrize("is_replayed", [False, True])
def test_a_job_of_stripes_shows_its_event(reader: Reader, *, is_replayed: bool) -> None:
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    webhook(source="stripe", event="invoice.paid", delivery_id="evt_1", repeats=3, repeated_at=at)
    job_id = add_row(
        job_type="process-stripe-webhook",
        payload={"payload": {"eventId": "evt_1"} if is_replayed else {}},
        idempotency_key=None if is_replayed else "evt_1",
    )

    shown = text_of(reader.get(f"/job/{job_id}"))

    assert "Webhook Source stripe Event invoice.paid Delivery evt_1 Verified yes" in shown
    assert "Came again 3 times, last 2026-11-29 12:00:00 UTC" in shown


@pytest.mark.usefixtures("published")
def test_what_resend_reports_is_in_the_inbox_and_on_its_jobs_page(
    app: Flask, reader: Reader
) -> None:
    body = json.dumps(EVENTS["resend"]).encode()
    for _ in range(2):
        headers = {"Content-Type": "application/json", **signed(app, "resend", body, "msg_1")}
        answer = reader.client.post("/api/webhooks/resend", data=body, headers=headers)
        assert answer.status_code == 200
    assert [delivered.answer.status_code for delivered in drain()] == [200]
    [row] = stored()
    row_id, job_id = row.id, str(row.job_id)

    panel = text_of(reader.get(f"/job/{job_id}"))
    inbox = text_of(reader.get("/webhooks?source=resend"))
    shown = reader.get(f"/webhooks/{row_id}")

    facts = "Webhook Source resend Event email.bounced Delivery msg_1 Verified yes"
    assert f"{facts} Came again once" in panel
    assert '"suppressed": 1' in panel
    assert "email.bounced" in inbox
    assert "again once" in inbox
    assert "completed" in inbox
    assert f'href="/admin/jobs/job/{job_id}"' in shown.text
    assert '"subType": "General"' in text_of(shown)


def test_a_panel_of_an_organizations_job_leads_to_no_inbox(app: Flask, reader: Reader) -> None:
    row_id = webhook(source="resend", event="email.bounced", delivery_id="msg_1")
    payload = {"payload": {"source": "resend", "event": "email.bounced", "deliveryId": "msg_1"}}
    job_id = add_row(job_type="process-webhook", payload=payload, organization_id=1)
    app.extensions["jobs.dashboard.ways"] = [lambda: User("ada", Role.ADMIN, organization_id=1)]

    shown = reader.get(f"/job/{job_id}")

    assert "Webhook Source resend Event email.bounced Delivery msg_1" in text_of(shown)
    assert f"/webhooks/{row_id}" not in shown.text


def test_the_inbox_says_how_often_a_webhook_came_again(reader: Reader) -> None:
    row_id = webhook(repeats=1, repeated_at=datetime.now(UTC) - timedelta(minutes=2))
    webhook()

    assert text_of(reader.get("/webhooks")).count("again once, 2 min ago") == 1
    shown = text_of(reader.get(f"/webhooks/{row_id}"))
    assert "Came again once, last 2 min ago ; it was not processed again" in shown


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"status": "failed", "dead_at": datetime.now(UTC)}, "dead"),
        ({"status": "failed"}, "retrying"),
        ({"status": "completed"}, "completed"),
    ],
)
def test_a_jobs_state_is_the_same_mark_in_the_inbox_and_at_its_files(
    reader: Reader, values: dict[str, Any], state: str
) -> None:
    job_id = add_row(**values)
    row_id = webhook(job_id=job_id)
    artifact(job_id=job_id)
    mark = f'<use href="#i-{state}"/></svg>{state}</span>'

    for path in ("/jobs", f"/job/{job_id}", "/webhooks", f"/webhooks/{row_id}", "/artifacts"):
        assert mark in reader.get(path).text, path


def test_the_mailbox_shows_an_email_as_its_recipient_sees_it(reader: Reader, mailbox: Path) -> None:
    email()
    [name] = [path.stem for path in mailbox.glob("*.eml")]

    listed = text_of(reader.get("/mailbox"))
    shown = reader.get(f"/mailbox/{name}")
    frame = reader.get(f"/mailbox/{name}/html")

    assert "Welcome ann@example.com" in listed
    assert 'sandbox title="The email as HTML"' in shown.text
    assert "From: Acme <mail@example.com>" in text_of(shown)
    assert "frame-src 'self'" in shown.headers["Content-Security-Policy"]
    assert frame.text.startswith("<h1 style='color: red'>Hello Ann</h1>")
    assert frame.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "narrow" in reader.get(f"/mailbox/{name}/narrow").text


def test_the_mailbox_knows_its_own_files_only(reader: Reader, mailbox: Path) -> None:
    email()
    (mailbox.parent / "secret.eml").write_text("Subject: secret\n\n")

    for name in ("..%2Fsecret", "none", "*"):
        assert reader.get(f"/mailbox/{name}").status_code == 404


def test_an_email_that_another_program_wrote_is_shown(reader: Reader, mailbox: Path) -> None:
    mailbox.mkdir()
    (mailbox / "odd.eml").write_bytes(b"Subject: =?utf-8?q?=FF?=\nDate: never\n\n\xff\x00odd")

    assert reader.get("/mailbox").status_code == 200
    assert "odd" in text_of(reader.get("/mailbox/odd"))


def test_the_mailbox_says_where_emails_go(app: Flask, reader: Reader, mailbox: Path) -> None:
    assert "No emails" in reader.get("/mailbox").text
    app.config["RESEND_API_KEY"] = "re_1"
    assert "emails go to Resend" in reader.get("/mailbox").text


def test_artifacts_are_listed_with_whom_they_are_for(reader: Reader) -> None:
    job_id = add_row()
    artifact(job_id=job_id, user_id=7, organization_id=3)
    artifact(name="gone.csv", expires_at=datetime.now(UTC) - timedelta(hours=1))

    answer = reader.get("/artifacts")
    shown = text_of(answer)

    assert "users.csv text/csv 12,345 user 7 org 3" in shown
    assert "expired 1 h ago" in shown
    assert answer.text.count("/api/artifacts/") == 1
    assert f"/admin/jobs/job/{job_id}" in answer.text


def test_artifacts_have_pages(reader: Reader) -> None:
    ends = datetime.now(UTC) + timedelta(days=1)
    for number in range(51):
        artifact(name=f"{number}.csv", expires_at=ends + timedelta(minutes=number))

    first = reader.get("/artifacts").text
    assert "50.csv" in first
    assert "<strong>0.csv" not in first
    address = first.split('rel="next" href="/admin/jobs')[1].split('"')[0]
    assert "<strong>0.csv" in reader.get(address).text
    for wrong in ("x", "2026-01-01 x", "2026-01-01T00:00:00 " + str(uuid4())):
        assert reader.get(f"/artifacts?after={wrong}").status_code == 400


def test_those_of_an_organization_see_their_own(app: Flask, reader: Reader) -> None:
    as_user(app, Role.VIEWER, 3)
    artifact(name="ours.csv", organization_id=3)
    artifact(name="theirs.csv", organization_id=4)

    shown = reader.get("/artifacts").text

    assert "ours.csv" in shown
    assert "theirs.csv" not in shown
    assert "/api/artifacts/" not in shown
    assert reader.get("/webhooks").status_code == 403
    assert reader.get("/mailbox").status_code == 403


def test_a_job_shows_what_it_made(reader: Reader) -> None:
    job_id = add_row()
    artifact(job_id=job_id)

    answer = reader.get(f"/job/{job_id}")

    assert "Artifacts 1. users.csv 12,345 bytes" in text_of(answer)
    assert "/api/artifacts/" in answer.text


def test_markup_is_shown_as_text_on_all_of_them(reader: Reader, mailbox: Path) -> None:
    row_id = webhook(
        source=MARKUP,
        event=MARKUP,
        delivery_id=MARKUP,
        headers={MARKUP: MARKUP},
        body=json.dumps({MARKUP: MARKUP}).encode(),
    )
    artifact(name=MARKUP, media_type=MARKUP)
    email(subject=MARKUP, text=MARKUP, html=MARKUP, **{"from": f'"{MARKUP}" <a@example.com>'})
    [name] = [path.stem for path in mailbox.glob("*.eml")]
    paths = ["/webhooks", f"/webhooks/{row_id}", "/artifacts", "/mailbox", f"/mailbox/{name}"]

    for path in paths:
        shown = reader.get(path).text
        assert "alert(1)" in shown, path
        assert MARKUP not in shown, path


def test_a_production_has_no_mailbox(app: Flask) -> None:
    app.config["APP_ENV"] = "production"
    dashboard = Dashboard()
    screens.add_to(dashboard, app)

    assert [one.name for one in dashboard.screens] == ["webhooks", "artifacts"]
