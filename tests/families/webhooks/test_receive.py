"""What a sender is answered, and what is left when it is refused: nothing."""

import io
import json
import logging
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.families import webhooks
from app.families.webhooks.sources import SOURCES
from app.jobs.errors import DiscoveryError
from app.jobs.message import Message
from app.jobs.testing import assert_enqueued, refute_enqueued
from app.web import proxies
from tests.support.apps import settings
from tests.support.webhooks import EVENTS, Post, refused, signed, stored

SENDERS = pytest.mark.parametrize("name", EVENTS)
GITHUB = json.dumps(EVENTS["github"]).encode()


@SENDERS
def test_a_webhook_is_stored_and_enqueued_and_answered(
    post: Post, published: list[Message], name: str
) -> None:
    answer = post(name)

    assert (answer.status_code, answer.json) == (200, {"received": True})
    (row,) = stored()
    assert (row.source, row.verified, str(row.ip_address)) == (name, True, "127.0.0.1")
    assert [message.job_id for message in published] == [row.job_id]


def test_the_inbox_keeps_the_bytes_and_no_signature(post: Post) -> None:
    post("github", headers={"X-GitHub-Hook-ID": "42", "Authorization": "Bearer x"})

    (row,) = stored()
    assert (row.event, row.delivery_id, row.body) == ("pull_request", "delivery-1", GITHUB)
    assert row.headers == {
        "content-type": "application/json",
        "user-agent": row.headers["user-agent"],
        "x-github-event": "pull_request",
        "x-github-hook-id": "42",
    }


def test_stripes_job_gets_what_its_handler_needs(post: Post) -> None:
    post("stripe")

    assert_enqueued(
        "process-stripe-webhook",
        {
            "eventType": "customer.created",
            "eventData": EVENTS["stripe"]["data"],
            "ipAddress": "127.0.0.1",
            "eventId": "evt_1",
            "created": 1795435200,
            "apiVersion": "2026-10-28.endive",
        },
        idempotency_key="evt_1",
    )


def test_another_sources_job_carries_its_data(post: Post) -> None:
    post("github")

    payload = {"source": "github", "event": "pull_request", "data": EVENTS["github"]}
    assert_enqueued("process-webhook", payload, idempotency_key="github:delivery-1")


@SENDERS
def test_a_repeat_is_answered_alike_and_does_nothing(
    post: Post, published: list[Message], name: str
) -> None:
    first, again = post(name), post(name)

    assert (again.status_code, again.json) == (first.status_code, first.json)
    assert (len(stored()), len(published)) == (1, 1)


@SENDERS
def test_how_often_it_came_again_is_kept(post: Post, name: str) -> None:
    post(name)
    assert [(row.repeats, row.repeated_at) for row in stored()] == [(0, None)]

    post(name)
    assert post(name).status_code == 200

    (row,) = stored()
    assert row.repeats == 2
    assert row.repeated_at is not None
    assert row.repeated_at > row.received_at


@SENDERS
def test_a_repeat_that_says_something_else_is_a_repeat_all_the_same(post: Post, name: str) -> None:
    other = {**EVENTS[name], "created": 1795435201} if name == "stripe" else {"action": "closed"}
    if name == "resend":
        other = {**EVENTS[name], "created_at": "2026-11-23T12:00:01.000Z"}
    post(name)

    answer = post(name, other)

    assert (answer.status_code, answer.json) == (200, {"received": True})
    assert [row.repeats for row in stored()] == [1]


def test_the_same_bytes_under_another_name_are_counted_at_the_first(post: Post) -> None:
    post("github")
    post("github", delivery_id="another")

    assert [(row.delivery_id, row.repeats) for row in stored()] == [("delivery-1", 1)]


def test_two_sources_may_use_the_same_ids(post: Post) -> None:
    post("github", delivery_id="same")
    post("resend", delivery_id="same")

    assert len(stored()) == 2


# --- Refused: with a problem document, and nothing stored ---------------------------------------


@SENDERS
def test_without_a_signature_it_is_refused(post: Post, app: Flask, name: str) -> None:
    headers = dict.fromkeys(signed(app, name, b"{}"))

    assert refused(post(name, headers=headers), 401) == "The signature is missing."


@SENDERS
def test_other_bytes_than_were_signed_are_refused(
    post: Post, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing of them is logged."""
    with caplog.at_level(logging.DEBUG):
        detail = refused(post(name, body=b'{"secret": "hunter2"}'), 401)

    assert detail == "The signature is wrong."
    assert "hunter2" not in caplog.text
    refute_enqueued("process-webhook")


@pytest.mark.parametrize("name", ["stripe", "resend"])
@pytest.mark.parametrize(("minutes", "said"), [(-6, "expired"), (6, "from the future")])
def test_a_signature_of_another_time_is_refused(
    post: Post, app: Flask, name: str, minutes: int, said: str
) -> None:
    body = json.dumps(EVENTS[name]).encode()
    with time_machine.travel(timedelta(minutes=minutes)):
        headers = signed(app, name, body)

    assert refused(post(name, headers=headers), 401) == f"The signature is {said}."


@SENDERS
def test_after_a_rotation_begins_both_secrets_count(post: Post, app: Flask, name: str) -> None:
    body, setting = json.dumps(EVENTS[name]).encode(), SOURCES[name].setting
    by_old = signed(app, name, body)
    app.config[setting] = f"whsec_bmV3LCBhbmQgdG8gYmUgZmlyc3Q=, {app.config[setting]}"

    assert post(name, headers=by_old).status_code == 200
    assert len(stored()) == 1


def test_a_failed_signature_is_logged(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post("github", body=b"{}")

    (line,) = [one for one in caplog.records if one.message == "[webhooks] Invalid signature"]
    said = vars(line)
    assert (said["source"], said["reason"], said["ip"]) == ("github", "wrong", "127.0.0.1")


def test_an_unknown_source_is_not_found(client: FlaskClient) -> None:
    answer = client.post("/api/webhooks/gitlab", json={})

    assert refused(answer, 404) == "There is no webhook source 'gitlab'."


def test_a_source_without_a_secret_is_unavailable_and_the_log_names_the_setting(
    post: Post, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    headers = signed(app, "github", GITHUB)
    app.config["WEBHOOK_GITHUB_SECRET"] = ""
    answer = app.test_client().post("/api/webhooks/github", data=GITHUB, headers=headers)

    assert refused(answer, 503) == "This source is not configured yet."
    (line,) = [one for one in caplog.records if "not configured" in one.message]
    assert vars(line)["setting"] == "WEBHOOK_GITHUB_SECRET"


def test_a_form_is_refused_and_the_fix_named(post: Post) -> None:
    answer = post("github", headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert "Choose the content type application/json" in refused(answer, 415)


def test_a_body_over_the_limit_is_refused_unread(client: FlaskClient, app: Flask) -> None:
    app.config["WEBHOOK_MAX_BODY"] = 20
    body = io.BytesIO(b"x" * 100)

    answer = client.post(
        "/api/webhooks/github",
        input_stream=body,
        content_length=100,
        content_type="application/json",
    )

    refused(answer, 413)
    assert body.tell() == 0


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(
    client: FlaskClient, app: Flask
) -> None:
    """Chunked, as gunicorn hands it on."""
    app.config["WEBHOOK_MAX_BODY"] = 1000
    body = io.BytesIO(b"x" * 100_000)

    answer = client.post(
        "/api/webhooks/github",
        input_stream=body,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    refused(answer, 413)
    assert body.tell() < 100_000


@SENDERS
@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b"", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_not_json_is_refused_whoever_signed_it(
    post: Post, app: Flask, name: str, body: bytes
) -> None:
    if name == "stripe" and body == b"\xff\xfe":
        pytest.skip("Stripe signs text")
    answer = post(name, body=body, headers=signed(app, name, body))

    assert refused(answer, 400).startswith("body: not JSON in UTF-8: ")


def test_bytes_that_stripe_could_not_have_signed_are_refused(post: Post) -> None:
    assert refused(post("stripe", body=b"\xff\xfe"), 401) == "The signature is malformed."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, "id: missing."),
        ({"id": 7}, "id: must be a text of 1 to 200 visible ASCII characters."),
        ({"id": "x" * 201}, "id: must be a text of 1 to 200 visible ASCII characters."),
        ({"type": None}, "type: missing."),
        ({"type": "a\n"}, "type: must be a text of 1 to 200 visible ASCII characters."),
        ({"created": "now"}, "created: must be a whole number."),
        ({"data": None}, "data: missing."),
        ({"data": {}}, "data.object: missing."),
        ({"object": "v2.core.event"}, "object: must be 'event'. Thin events"),
    ],
)
def test_an_event_of_stripes_that_lacks_a_part_is_refused(
    post: Post, change: dict[str, object], said: str
) -> None:
    event = {**EVENTS["stripe"], **change}
    event = {name: value for name, value in event.items() if value is not None}

    assert refused(post("stripe", event), 400).startswith(said)


def test_an_event_that_is_no_object_is_refused(post: Post) -> None:
    assert refused(post("stripe", []), 400) == "type: missing."


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
def test_a_delivery_without_its_name_or_id_is_refused(post: Post, header: str) -> None:
    assert refused(post("github", headers={header: None}), 400) == f"{header}: missing."


def test_too_many_requests_are_put_off(post: Post, app: Flask) -> None:
    """Of one address, to one source."""
    app.config["WEBHOOK_RATE_LIMIT"] = "2/minute"
    answers = [post("github", delivery_id=str(number)) for number in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].mimetype == "application/problem+json"
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    assert post("github", delivery_id="3", **elsewhere).status_code == 200
    assert post("resend").status_code == 200


def test_a_database_that_is_away_asks_the_sender_to_come_again(
    post: Post, no_database: None
) -> None:
    assert post("github").status_code == 503


# --- Behind proxies -----------------------------------------------------------------------------

FORWARDED = {"X-Forwarded-For": "192.0.2.66, 198.51.100.7"}


def test_nobody_is_believed_about_addresses_unless_told(post: Post) -> None:
    post("github", headers=FORWARDED)

    assert str(stored()[0].ip_address) == "127.0.0.1"


def test_behind_a_trusted_proxy_the_address_is_what_that_says(
    app: Flask, published: list[Message]
) -> None:
    """And not what the client itself claimed."""
    app.config["TRUSTED_PROXIES"] = 1
    proxies.init_app(app)
    headers = {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1", **FORWARDED}
    headers |= {"Content-Type": "application/json", **signed(app, "github", b"{}")}

    app.test_client().post("/api/webhooks/github", data=b"{}", headers=headers)

    assert str(stored()[0].ip_address) == "198.51.100.7"


# --- Declared by users --------------------------------------------------------------------------


def test_a_source_of_ones_own_is_a_line(post: Post, app: Flask) -> None:
    scheme = webhooks.Hmac(header="X-Acme-Signature", encoding="base64")
    webhooks.source("acme-shop", scheme, event_field="meta.kind")
    app.config["WEBHOOK_ACME_SHOP_SECRET"] = "s3cret"

    answers = [post("acme-shop", {"meta": {"kind": "order.paid"}}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    (row,) = stored()
    assert row.event == "order.paid"
    assert row.delivery_id.startswith("sha256:")


def test_a_source_that_nobody_signs_is_for_development_only(
    database_url: str, post: Post, app: Flask
) -> None:
    webhooks.source("anybody", webhooks.Unverified(), event_field="type")
    answer = app.test_client().post("/api/webhooks/anybody", json={"type": "x"})

    assert answer.status_code == 200
    assert stored()[0].verified is False
    with pytest.raises(DiscoveryError, match=r"'anybody' is Unverified\(\), allowed"):
        create_app({**settings(database_url), "APP_ENV": "production"})


def test_a_malformed_secret_stops_the_start_and_is_not_shown(database_url: str) -> None:
    wrong = {**settings(database_url), "WEBHOOK_RESEND_SECRET": "whsec_hunter2!"}

    with pytest.raises(DiscoveryError, match=r"WEBHOOK_RESEND_SECRET: .* is not base64") as raised:
        create_app(wrong)
    assert "hunter2" not in str(raised.value)


def test_a_handler_of_a_source_that_there_is_not_stops_the_start(database_url: str) -> None:
    webhooks.on("githup", "push")(lambda _, __: None)

    with pytest.raises(DiscoveryError, match=r"'githup', .* did you mean: github\?"):
        create_app(settings(database_url))


@pytest.mark.parametrize("name", ["Acme", "", "a/b", "x" * 51])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(DiscoveryError, match="must be in kebab case"):
        webhooks.source(name, webhooks.Standard())
