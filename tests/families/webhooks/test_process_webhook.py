"""The job: which handlers run, on what, and what is left when one of them fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import db
from app.families import webhooks
from app.families.webhooks import Webhook
from app.families.webhooks.inbox import CARRIED
from app.jobs import Job, JobExecution, enqueue
from app.jobs.message import Message
from app.jobs.testing import assert_idempotent, deliver, drain
from tests.support.qstash import deliver as qstash_delivers
from tests.support.qstash import envelope
from tests.support.webhooks import EVENTS, Post, leave_effect, notes, signed, stored

PUSH = {"source": "github", "event": "push", "data": {"ref": "refs/heads/main"}}


def result_of(job_id: str | None) -> Any:
    assert job_id is not None
    return (deliver(job_id).json or {})["result"]


def test_a_webhook_without_a_handler_completes_with_a_note(post: Post) -> None:
    post("github")

    assert result_of(stored()[0].job_id) == {"note": "no handler for github pull_request"}


def test_a_handler_is_told_what_came_and_when_and_from_where(post: Post) -> None:
    seen = leave_effect("greet", event="pull_request")
    post("github")
    (row,) = stored()

    assert result_of(row.job_id) == {"handlers": {"webhooks.greet": {"note": "greet"}}}
    assert seen == [
        Webhook(
            source="github",
            event="pull_request",
            data=EVENTS["github"],
            delivery_id="delivery-1",
            received_at=row.received_at,
            ip_address="127.0.0.1",
        )
    ]


@pytest.mark.parametrize(
    ("source", "event", "runs"),
    [
        ("github", "push", True),
        ("github", "p*", True),
        ("*", "*", True),
        ("github", "PUSH", False),
        ("github", "pull_request", False),
        ("resend", "*", False),
    ],
)
def test_patterns_say_which_events_a_handler_wants(
    app: Flask, published: list[Message], source: str, event: str, *, runs: bool
) -> None:
    leave_effect("effect", source=source, event=event)

    deliver(enqueue("process-webhook", PUSH))

    assert notes() == ["effect"] * runs


def test_all_handlers_of_a_webhook_share_a_transaction(
    app: Flask, published: list[Message]
) -> None:
    def broken(_: Webhook, __: Job) -> None:
        raise ConnectionError("not yet")

    leave_effect("first")
    webhooks.on("github", "push")(broken)

    assert deliver(enqueue("process-webhook", PUSH)).status_code == 500
    assert notes() == []


def test_handlers_run_in_the_order_in_which_they_stand(
    app: Flask, published: list[Message]
) -> None:
    for name in ("b", "a", "c"):
        leave_effect(name)

    deliver(enqueue("process-webhook", PUSH))

    assert notes() == ["b", "a", "c"]


def test_a_handlers_effects_happen_once_however_often_it_is_delivered(
    app: Flask, published: list[Message]
) -> None:
    leave_effect("effect")

    assert_idempotent("process-webhook", PUSH, ignore=["effects.job_id"])


@pytest.mark.parametrize("data", [{"a": "x" * CARRIED}, {"a": "\x00"}, {"a": "\ud800"}])
def test_what_a_job_cannot_carry_it_takes_from_the_inbox(post: Post, data: dict[str, Any]) -> None:
    seen = leave_effect("effect")
    post("github", data)
    (row,) = stored()
    assert row.job_id is not None
    assert job(row.job_id).payload["payload"].get("data") is None

    assert deliver(row.job_id).status_code == 200
    assert seen[0].data == data


def test_what_is_sealed_stands_in_clear_nowhere(post: Post) -> None:
    seen = leave_effect("effect", source="resend")
    post("resend")
    (row,) = stored()
    assert row.job_id is not None
    assert (row.sealed, b"example.com" in row.body.lower()) == (True, False)
    assert "example.com" not in json.dumps(job(row.job_id).payload).lower()

    deliver(row.job_id)

    assert seen[0].data == EVENTS["resend"]


def test_an_error_does_not_quote_what_is_sealed(post: Post) -> None:
    def talkative(webhook: Webhook, _: Job) -> None:
        raise ValueError(f"cannot use {webhook.data['data']['to'][0]}")

    webhooks.on("resend")(talkative)
    post("resend")
    (row,) = stored()
    assert row.job_id is not None

    deliver(row.job_id)

    assert job(row.job_id).error == "ValueError: cannot use [sealed]"


def test_a_webhook_that_was_deleted_before_its_job_ran_fails_for_good(post: Post) -> None:
    post("resend")
    (row,) = stored()
    job_id = row.job_id
    assert job_id is not None
    db.session.delete(row)
    db.session.commit()

    assert deliver(job_id).status_code == 489
    assert "resend delivery-1 is no longer in the inbox" in str(job(job_id).error)


def test_two_hundred_repeats_from_sixteen_threads_have_one_effect(
    app: Flask, post: Post, published: list[Message]
) -> None:
    leave_effect("effect")
    body = json.dumps(EVENTS["github"]).encode()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "one"} | signed(app, "github", body)

    def repeat(_: int) -> int:
        sent = {"data": body, "headers": {**headers, "Content-Type": "application/json"}}
        return app.test_client().post("/api/webhooks/github", **sent).status_code

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(repeat, range(200)))
    drain()

    assert set(answers) == {200}
    assert len(stored()) == len(published) == db.session.scalar(select(func.count(JobExecution.id)))
    assert notes() == ["effect"]


def job(job_id: str) -> JobExecution:
    db.session.rollback()
    row = db.session.scalar(select(JobExecution).where(JobExecution.job_id == job_id))
    assert row is not None
    return row


def test_a_webhook_of_the_public_starter_may_bring_its_signature(client: FlaskClient) -> None:
    seen = leave_effect("push", event="push")
    body = envelope({**PUSH, "signature": "v1=abc"}, job_type="process-webhook")

    assert qstash_delivers(client, body, "/api/jobs/webhook").status_code == 200
    assert [webhook.data for webhook in seen] == [PUSH["data"]]
