"""Deliveries: signed ones arrive, unsigned ones are rejected."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import current_app

from ..errors import JobsError
from ..execute import own_test
from ..publish import outbox
from ..registry import registry_of
from ..table.db import db
from .checks import Finding, failure, own, passed, warning
from .culprit import who_answers
from .probe import CHANNEL, FORWARDED, PROBE

if TYPE_CHECKING:
    from qstash import QStash

#: Seconds that a probe may take.
PATIENCE = 12.0
POLL_SECONDS = 0.5
#: States of QStash's log after which nothing more comes.
OVER = {"DELIVERED", "FAILED", "CANCELED"}

FIXES: dict[int | None, str] = {
    None: "check that the app runs, and that QStash reaches BASE_URL (firewall, proxy, DNS, TLS)",
    HTTPStatus.UNAUTHORIZED: "check that the app there has our BASE_URL, signing keys and time",
    HTTPStatus.NOT_FOUND: "check that BASE_URL leads to this app, and that it runs this code",
    HTTPStatus.SERVICE_UNAVAILABLE: "check that the app there reaches its database",
}


@own("signature")
def unsigned() -> Finding:
    """Unsigned requests must be rejected."""
    import httpx  # noqa: PLC0415 - slow to import, and only this needs it

    url = outbox.publisher().destination(PROBE)
    try:
        answer = httpx.post(url, content=b"{}", timeout=5, headers=own_test.mark())
    except httpx.HTTPError as error:
        return failure(
            f"nothing answers at {url} from here: {error or type(error).__name__}",
            fix="start the app, or set BASE_URL to its address",
        )
    if answer.status_code == HTTPStatus.UNAUTHORIZED and "QStash signature" in answer.text:
        return passed("an unsigned request gets a 401")
    if answer.is_success:
        return failure(
            f"{url} accepts an unsigned request ({answer.status_code})",
            fix=_in_front()
            or "check that BASE_URL leads to this app, and that no proxy answers for it",
        )
    return failure(
        f"{url} answers {answer.status_code}, where this app would answer 401",
        fix=_in_front()
        or "set BASE_URL to this app's own address, with no redirect or login in front",
    )


def _in_front() -> str:
    """Say how to let QStash pass what of the app's own answers before our view; empty for none."""
    name = who_answers(PROBE)
    if not name:
        return ""
    return (
        f"let QStash pass: before_request calls {name}, which answers; have it return None where "
        "`is_qstash_endpoint()` is true"
    )


@own("endpoints", "signature")
def endpoints() -> Finding:
    """A process that is older than the code answers 404 to new job types."""
    import httpx  # noqa: PLC0415 - as above

    publisher, configs = outbox.publisher(), list(registry_of(current_app))
    unknown = []
    with httpx.Client(timeout=5, headers=own_test.mark()) as client:
        for config in configs:
            answer = client.post(publisher.destination(config.endpoint), content=b"{}")
            if answer.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
                unknown.append(config.type)
    if unknown:
        return failure(
            f"the app at {current_app.config['BASE_URL']} does not know {', '.join(unknown)}: its"
            " deliveries are answered 404 or 405",
            fix="that process is older than the code: restart it",
        )
    return passed(f"the app there knows every job type of this code ({len(configs)})")


@own("probe", "qstash", "database", "base-url")
def probe() -> Finding:
    """BASE_URL is only right if what QStash sends there arrives here."""
    nonce, start = str(uuid4()), monotonic()
    with listening() as arrived:
        message_id = _publish(nonce)
        state, status = "", None
        while monotonic() < start + PATIENCE:
            if came := arrived(nonce):
                return _arrived(came, monotonic() - start)
            if state in OVER:
                break  # the app notifies before it answers, so it would have been heard by now
            state, status = _seen_by_qstash(message_id)
    _clear_away(message_id)
    return _judge(state, status)


def _arrived(said: str, seconds: float) -> Finding:
    took = f"a message took {seconds:.1f} s through QStash and back"
    if said.endswith(FORWARDED):
        return warning(
            f"{took}; a proxy that the app does not know of brought it (X-Forwarded-For): to it, "
            "all callers have the proxy's address, and share its rate limits",
            fix="tell the app how many proxies stand before it: werkzeug's ProxyFix, or "
            "TRUSTED_PROXIES where the app has that setting",
        )
    return passed(took)


def _judge(state: str, status: int | None) -> Finding:
    url = current_app.config["BASE_URL"]
    if state == "DELIVERED":
        return warning(
            f"QStash's message was accepted at {url}, but not by an app with this database",
            fix="check that this command and the app have the same DATABASE_URL, without "
            "pgbouncer's transaction mode on this side",
        )
    if state not in {"ERROR", "FAILED"}:
        return failure(
            f"QStash has not delivered a message within {PATIENCE:.0f} s",
            fix="look for the message in QStash's console, and at https://status.upstash.com",
        )
    answered = f"was answered {status}" if status else "got no answer"
    return failure(
        f"QStash's message to {url} {answered}",
        fix=FIXES.get(status, "check what is in front of the app at BASE_URL"),
    )


@contextmanager
def listening() -> Iterator[Any]:
    """Yield a function that waits a moment and returns what came of a probe, if it has arrived."""
    # A listening connection keeps listening, so it does not go back to the pool.
    connection = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        driver: Any = connection.connection.driver_connection
        connection.detach()
        driver.execute(f"LISTEN {CHANNEL}")
        yield lambda nonce: next(
            (
                one.payload
                for one in driver.notifies(timeout=POLL_SECONDS, stop_after=1)
                if one.payload.startswith(nonce)
            ),
            None,
        )
    finally:
        connection.close()


def _publish(nonce: str) -> str:
    publisher = outbox.publisher()
    request: dict[str, Any] = {
        "url": publisher.destination(PROBE),
        "body": nonce,
        "content_type": "text/plain",
        "retries": 0,
        "timeout": 10,
    }
    answer: Any = publisher.call(lambda qstash: qstash.message.publish(**request))
    return str(answer.message_id)


def _seen_by_qstash(message_id: str) -> tuple[str, int | None]:
    """Return the last state of a message in QStash's log, and what it was answered last."""
    # Not with the SDK's own method: it prints the answer.
    found: Any = outbox.publisher().call(
        lambda qstash: qstash.http.request(
            path="/v2/events", method="GET", params={"messageId": message_id}
        )
    )
    events = found.get("events", [])  # the newest first
    states = [event["state"] for event in events]
    statuses = [event["responseStatus"] for event in events if event.get("responseStatus")]
    return next(iter(states), ""), next(iter(statuses), None)


def _clear_away(message_id: str) -> None:
    """Leave nothing at QStash: neither the message nor its dead letter."""
    publisher = outbox.publisher()
    try:
        letters = publisher.call(
            lambda qstash: qstash.dlq.list(filter={"message_id": message_id})
        ).messages
        for dlq_id in [letter.dlq_id for letter in letters]:
            publisher.call(partial(_forget, dlq_id))
        if not letters:
            publisher.call(lambda qstash: qstash.message.cancel(message_id))
    except JobsError:
        return  # delivered after all, or QStash went away; either way nothing is left to do


def _forget(dlq_id: str, qstash: "QStash") -> None:
    qstash.dlq.delete(dlq_id)
