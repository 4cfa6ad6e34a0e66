"""Queues, keys, types and organizations: how busy they are, and pausing them."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import jobs
from app.dashboard import Role, User
from app.dashboard.access import add_way
from app.db import db
from app.jobs import FlowControl, enqueue
from app.jobs.message import Message
from app.jobs.operate import Load, loads
from tests.support.rows import add_row

from .pages import PREFIX, Reader, text_of

GOOD = {"action": "none"}
EVIL = "<script>alert(1)</script>"


def test_what_waits_runs_and_ended_is_counted_by_each(
    reader: Reader, published: list[Message]
) -> None:
    enqueue("sample", GOOD, queue="mail", organization_id=7)
    enqueue("sample", GOOD, flow_control=FlowControl(key="resend", rate=1))
    add_row(status="processing", organization_id=7)
    add_row(status="completed", completed_at=text("now()"), organization_id=7)

    found: dict[tuple[str, str], Load] = {(one.kind, one.name): one for one in loads()}

    assert {key: (one.waiting, one.in_flight) for key, one in found.items()} == {
        ("type", "sample"): (2, 1),
        ("queue", "mail"): (1, 0),
        ("key", "resend"): (1, 0),
        ("organization", "7"): (1, 1),
    }
    assert found["organization", "7"].per_minute == pytest.approx(1 / 60)
    said = text_of(reader.get("/queues"))
    assert "resend 1 0 0 0" in said
    assert "noop 0 0 0 0" in said


def test_a_type_is_paused_with_a_reason_and_resumed(
    reader: Reader, published: list[Message]
) -> None:
    given = {"kind": "type", "name": "sample", "reason": EVIL}
    answer = reader.send("/queues/pause", given, at="/queues")
    job_id = enqueue("sample", GOOD)

    assert answer.location == f"{PREFIX}/queues"
    for page in ("/queues", f"/job/{job_id}", ""):
        shown = reader.get(page)
        assert EVIL in text_of(shown)
        assert EVIL not in shown.text
    assert f"It waits: paused by {jobs.paused()[0].pause.by}" in text_of(
        reader.get(f"/job/{job_id}")
    )

    reader.send("/queues/resume", {"kind": "type", "name": "sample"}, at="/queues")
    assert "Resumed type sample; published 1 job." in text_of(reader.get("/queues"))
    assert jobs.paused() == []
    assert len(published) == 1


def test_what_makes_no_sense_changes_nothing(reader: Reader) -> None:
    for given, said in (
        ({"kind": "type", "name": "sampel", "reason": "why"}, "did you mean: sample"),
        ({"kind": "type", "name": "sample", "reason": " "}, "reason: empty"),
        ({}, "kind: '' cannot be paused"),
    ):
        reader.send("/queues/pause", given, at="/queues")
        assert said in text_of(reader.get("/queues"))
    reader.send("/queues/resume", {"kind": "type", "name": "sample"}, at="/queues")
    assert "'sample' is not paused" in text_of(reader.get("/queues"))
    assert jobs.paused() == []


@pytest.mark.parametrize(
    ("user", "sees"),
    [(User("vera", Role.VIEWER), 200), (User("olga", Role.OPERATOR, organization_id=7), 403)],
)
def test_viewers_see_it_and_those_of_an_organization_do_not(
    app: Flask, client: FlaskClient, user: User, sees: int
) -> None:
    add_way(app, lambda: user)
    page = client.get(f"{PREFIX}/queues")
    assert page.status_code == sees
    assert "queues/pause" not in page.text
    assert client.post(f"{PREFIX}/queues/pause", data={}).status_code == 403
    db.session.rollback()
    assert jobs.paused() == []
