"""The real SDK against a local server: what each answer means for the email."""

import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Event, Thread

import pytest
from flask import Flask

from app.dev.resend_server import LOST, OUTAGE, RATE_LIMITED, Answer, ResendServer
from app.families.email import transport
from app.families.email.rendering import Rendered
from app.families.email.resend_client import PAUSES, SendError
from app.jobs import PermanentError, RetryLater

EMAIL = Rendered("welcome", subject="Hello", html="<p>Hello</p>", text="Hello")


def send(key: str | None = "job/0", *, patience: float = 60) -> str:
    return transport.send(EMAIL, to="ada@example.com", idempotency_key=key, patience=patience)


def test_resend_gets_the_whole_email(resend: ResendServer, mailer: Flask) -> None:
    mailer.config["SUPPORT_EMAIL"] = "help@acme.example"

    message_id = send()

    [sent] = resend.sent
    assert sent.email_id == message_id
    assert sent.idempotency_key == "job/0"
    assert sent.params == {
        "from": "Acme <hello@acme.example>",
        "reply_to": "help@acme.example",
        "to": "ada@example.com",
        "subject": "Hello",
        "html": "<p>Hello</p>",
        "text": "Hello",
        "tags": [{"name": "template", "value": "welcome"}],
    }


def test_an_email_sent_without_a_key_is_sent_each_time(resend: ResendServer) -> None:
    assert send(None) != send(None)
    assert [sent.idempotency_key for sent in resend.sent] == [None, None]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "validation_error"),
        (400, "invalid_idempotency_key"),
        (403, "validation_error"),  # a domain that is not verified
        (404, "not_found"),
        (422, "validation_error"),
        (422, "invalid_from_address"),
        (422, "missing_required_field"),
        (451, "security_error"),
    ],
)
def test_a_refusal_is_permanent_and_in_resends_words(
    resend: ResendServer, status: int, name: str
) -> None:
    resend.answer(None, Answer(status, name, "Because."))

    with pytest.raises(PermanentError, match=f"Resend answered {status} {name}: Because."):
        send()


@pytest.mark.parametrize(
    ("status", "name"),
    [(401, "missing_api_key"), (401, "restricted_api_key"), (403, "invalid_api_key")],
)
def test_a_wrong_api_key_is_retried_because_it_can_be_put_right(
    resend: ResendServer, status: int, name: str
) -> None:
    resend.answer(None, Answer(status, name, "API key is invalid"))

    with pytest.raises(SendError):
        send()

    assert send()


def test_a_rate_limit_puts_the_email_off_for_as_long_as_resend_says(resend: ResendServer) -> None:
    resend.answer(None, RATE_LIMITED)

    with pytest.raises(RetryLater, match="rate_limit_exceeded") as raised:
        send()

    assert raised.value.delay == 1


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (409, "concurrent_idempotent_requests"),
        (429, "rate_limit_exceeded"),
        (429, "daily_quota_exceeded"),
        (429, "monthly_quota_exceeded"),
    ],
)
@pytest.mark.parametrize(
    "header", [{}, {"Retry-After": "soon"}, {"Retry-After": "-1"}, {"Retry-After": 5000 * "9"}]
)
def test_a_limit_without_a_time_has_a_pause_of_its_own(
    resend: ResendServer, status: int, name: str, header: dict[str, str]
) -> None:
    resend.answer(None, Answer(status, name, "Too much.", header))

    with pytest.raises(RetryLater) as raised:
        send()

    assert raised.value.delay == PAUSES[name]


def test_an_outage_is_retried(resend: ResendServer) -> None:
    resend.answer(None, OUTAGE)

    with pytest.raises(SendError, match="500 application_error") as raised:
        send()

    assert raised.value.retry_after is None


def test_an_outage_is_retried_when_resend_says(resend: ResendServer) -> None:
    resend.answer(None, Answer(503, "unavailable", "Back soon.", {"Retry-After": "90"}))

    with pytest.raises(SendError) as raised:
        send()

    assert raised.value.retry_after == 90


def test_an_email_whose_answer_was_lost_is_not_sent_twice(resend: ResendServer) -> None:
    resend.answer(None, LOST)

    with pytest.raises(SendError, match="could not be reached"):
        send()
    send()

    assert len(resend.sent) == 1


def test_another_email_under_a_used_key_is_permanent_and_says_that_one_was_sent(
    resend: ResendServer,
) -> None:
    send()

    with pytest.raises(PermanentError, match="An earlier attempt was sent"):
        transport.send(
            Rendered("welcome", subject="Changed", html="", text=""),
            to="ada@example.com",
            idempotency_key="job/0",
        )

    assert len(resend.sent) == 1


def test_a_resend_that_is_not_there_is_retried(mailer: Flask) -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # and does not listen; nor can anybody else there
        port = held.getsockname()[1]
        mailer.config.update(RESEND_API_KEY="re_test", RESEND_API_URL=f"http://127.0.0.1:{port}")

        with pytest.raises(SendError, match="could not be reached"):
            send()


@pytest.fixture
def dripping() -> Iterator[str]:
    """The URL of a server that sends a header without end, each byte well within any timeout."""
    closed = Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not closed.wait(0.05):
                connection.sendall(b".")

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        closed.set()
        thread.join()


def test_an_answer_in_drips_does_not_outlast_the_senders_patience(
    mailer: Flask, dripping: str
) -> None:
    mailer.config.update(RESEND_API_KEY="re_test", RESEND_API_URL=dripping)

    with pytest.raises(SendError, match="no answer within"):
        send(patience=0.3)
