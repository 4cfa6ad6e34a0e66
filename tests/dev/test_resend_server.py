"""The Resend server, driven by the real SDK."""

import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import resend as sdk
from resend.exceptions import ResendError

from app.dev.resend_server import INVALID, LOST, OUTAGE, RATE_LIMITED, SILENT, Answer, ResendServer

EMAIL: dict[str, Any] = {
    "from": "App <app@example.com>",
    "to": ["ada@example.com"],
    "subject": "Welcome, Ada!",
    "html": "<p>Grüße</p>",
    "text": "Grüße",
}


@pytest.fixture
def resend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResendServer]:
    with ResendServer(tmp_path / "sent") as server:
        monkeypatch.setattr(sdk, "api_url", server.url)
        monkeypatch.setattr(sdk, "api_key", "re_test")
        monkeypatch.setattr(sdk, "default_http_client", sdk.RequestsClient(timeout=1))
        yield server


def send(key: str | None = None, **changes: object) -> str:
    params: Any = {**EMAIL, **changes}
    return str(sdk.Emails.send(params, {"idempotency_key": key} if key else None)["id"])


def refused(key: str | None = None, **changes: object) -> ResendError:
    with pytest.raises(ResendError) as caught:
        send(key, **changes)
    return caught.value


def test_an_accepted_email_gets_an_id_and_is_kept(resend: ResendServer) -> None:
    email_id = send("job-1/1")

    assert [(one.email_id, one.idempotency_key) for one in resend.sent] == [(email_id, "job-1/1")]
    assert resend.sent[0].params["subject"] == "Welcome, Ada!"


@pytest.mark.usefixtures("resend")
def test_an_accepted_email_is_written_as_a_page_and_as_a_message(tmp_path: Path) -> None:
    send()

    page = tmp_path / "sent" / "01-welcome-ada.html"
    message = email.message_from_bytes(
        page.with_suffix(".eml").read_bytes(), policy=email.policy.default
    )
    assert page.read_text(encoding="utf-8") == "<p>Grüße</p>"
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Welcome, Ada!")


def test_the_same_key_with_the_same_email_sends_once(resend: ResendServer) -> None:
    assert send("job-1/1") == send("job-1/1")

    assert (len(resend.requests), len(resend.sent)) == (2, 1)


def test_the_same_key_with_another_email_is_a_conflict(resend: ResendServer) -> None:
    send("job-1/1")

    error = refused("job-1/1", subject="Another")
    assert (error.code, error.error_type) == (409, "invalid_idempotent_request")
    assert len(resend.sent) == 1


def test_planned_failures_come_first_and_then_the_email_is_accepted(resend: ResendServer) -> None:
    resend.answer("ada@example.com", OUTAGE, RATE_LIMITED)

    assert refused("job-1/1").code == 500
    limited = refused("job-1/1")
    assert (limited.code, limited.headers["retry-after"]) == (429, "1")
    assert send("job-1/1")
    assert [one.status for one in resend.requests] == [500, 429, 200]


def test_a_plan_forever_stays_and_concerns_its_recipient_only(resend: ResendServer) -> None:
    resend.answer("never@example.com", INVALID, forever=True)

    assert [refused(to="never@example.com").error_type for _ in range(3)] == [
        "validation_error"
    ] * 3
    assert send()


def test_a_plan_for_nobody_in_particular_concerns_everyone(resend: ResendServer) -> None:
    resend.answer(None, OUTAGE)

    assert refused(to="anyone@example.com").code == 500
    assert send(to="anyone@example.com")


def test_a_silent_server_runs_into_the_clients_timeout(resend: ResendServer) -> None:
    resend.answer("ada@example.com", SILENT)

    assert refused().error_type == "HttpClientError"
    assert resend.sent == []


def test_a_lost_answer_is_made_good_by_the_idempotency_key(resend: ResendServer) -> None:
    """The email went out though the client saw an error; the retry does not send it again."""
    resend.answer("ada@example.com", LOST)

    assert refused("job-1/1").error_type == "HttpClientError"
    assert send("job-1/1") == resend.sent[0].email_id
    assert len(resend.sent) == 1


def test_a_slow_answer_comes_in_the_end(resend: ResendServer) -> None:
    resend.answer("ada@example.com", Answer(after=0.05))

    assert send()


@pytest.mark.parametrize("field", ["from", "to", "subject"])
def test_an_email_without_a_required_field_is_refused(resend: ResendServer, field: str) -> None:
    error = refused(**{field: ""})

    assert (error.code, error.error_type) == (422, "missing_required_field")
    assert resend.requests == []


def test_a_body_that_is_no_object_is_refused(resend: ResendServer) -> None:
    answer = requests.post(
        f"{resend.url}/emails", data="[1", headers={"Authorization": "Bearer re_test"}, timeout=5
    )

    assert (answer.status_code, answer.json()["name"]) == (400, "validation_error")


def test_a_request_without_a_key_is_refused(
    resend: ResendServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "api_key", "")

    assert (refused().code, resend.requests) == (401, [])
