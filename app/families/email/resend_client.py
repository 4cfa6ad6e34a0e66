"""A client for Resend's own SDK, with a time limit and distinct errors.

`resend` is imported where it is used, because it takes three times as long as Flask.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, cast

from flask import current_app

from app.jobs import PermanentError, RetryLater

if TYPE_CHECKING:
    from resend import Emails, HTTPClient
    from resend.exceptions import ResendError

Response = tuple[bytes, int, Mapping[str, str]]

#: Seconds to wait if Resend does not say: its rate limit counts per second, its quotas per day
#: and month (https://resend.com/docs/api-reference/rate-limit).
PAUSES = {
    "concurrent_idempotent_requests": 5,
    "rate_limit_exceeded": 5,
    "daily_quota_exceeded": 60 * 60,
    "monthly_quota_exceeded": 6 * 60 * 60,
}

_patience: ContextVar[float] = ContextVar("patience")


class SendError(Exception):
    """Resend did not accept the email this time.

    Attributes:
        retry_after: Seconds after which to retry, from Resend; passed on to QStash.
    """

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def send(params: "Emails.SendParams", *, idempotency_key: str | None, patience: float) -> str:
    """Send an email and return Resend's id; for arguments and errors see `transport.send`."""
    import resend  # noqa: PLC0415 - see above
    from resend.exceptions import ResendError  # noqa: PLC0415 - as above

    with _configured(patience):
        try:
            return resend.Emails.send(params, _options(idempotency_key))["id"]
        except ResendError as error:
            raise consequence(error) from error


def domains(*, patience: float) -> dict[str, str]:
    """Return the status of each domain that Resend knows to be ours.

    https://resend.com/docs/api-reference/domains/list-domains

    Raises:
        ResendError: As the SDK raises it.
    """
    import resend  # noqa: PLC0415 - see above

    with _configured(patience):
        found = resend.Domains.list()["data"]
    return {domain["name"]: domain["status"] for domain in found}


@contextmanager
def _configured(patience: float) -> Iterator[None]:
    """Have the SDK use this app's settings.

    It is configured by its module's globals, which all threads set to the same values. Only the
    patience differs between calls, and is kept per thread.
    """
    import resend  # noqa: PLC0415 - see above

    resend.api_key = current_app.config["RESEND_API_KEY"]
    resend.api_url = current_app.config["RESEND_API_URL"].rstrip("/")
    resend.default_http_client = cast("HTTPClient", _client)
    waiting = _patience.set(max(0.1, patience))
    try:
        yield
    finally:
        _patience.reset(waiting)


def consequence(error: "ResendError") -> PermanentError | RetryLater | SendError:
    """Return what an error from Resend means for the email.

    It goes by status and type, not by the SDK's classes, which distinguish neither a quota from a
    rate limit nor a lost connection from a server error
    (https://resend.com/docs/api-reference/errors).

    A wrong API key says nothing about the email, so it is retried: if the key is fixed while QStash
    still retries, the email goes out. A sender, recipient or text that Resend rejects once will be
    rejected again.
    """
    said = f"Resend answered {error.code} {error.error_type}: {error.message}"
    match int(error.code), error.error_type:
        case (429, _) | (409, "concurrent_idempotent_requests"):
            return RetryLater(_retry_after(error) or PAUSES.get(error.error_type, 60), said)
        case (401, _) | (403, "invalid_api_key") | (408, _):
            return SendError(said)
        case (_, "HttpClientError"):
            return SendError(f"Resend could not be reached: {error.message}")
        case (status, _) if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SendError(said, _retry_after(error))
        case (409, "invalid_idempotent_request"):
            # An earlier attempt was accepted, and the text has changed since.
            return PermanentError(f"{said} An earlier attempt was sent; do not send it again.")
    return PermanentError(said)


class PatientClient:
    """The SDK's HTTP client, with the time limit of the `send` that uses it.

    Requests run in another thread, because a timeout of `requests` applies to each socket
    operation: looking up names, trying several addresses and reading slowly may take any multiple
    of it. An abandoned request may still succeed; the next attempt has the same idempotency key, so
    no second email is sent.
    """

    def request(
        self, method: str, url: str, headers: Mapping[str, str], json: dict[str, object]
    ) -> Response:
        """Make one request.

        Raises:
            TimeoutError: No complete answer in time.
        """
        import resend  # noqa: PLC0415 - see above

        patience = _patience.get()
        # Later than the wait below, so that a timeout is always reported in the same words.
        client = resend.RequestsClient(timeout=cast("int", patience + 1))
        request = partial(client.request, method, url, headers, json)
        answer: Future[Response] = Future()
        Thread(target=_settle, args=(answer, request), daemon=True).start()
        try:
            return answer.result(timeout=patience)
        except TimeoutError:
            raise TimeoutError(f"no answer within {patience:.1f} s") from None


_client = PatientClient()


def _settle(answer: Future[Response], request: Callable[[], Response]) -> None:
    try:
        answer.set_result(request())
    except Exception as error:  # noqa: BLE001 - whatever it is, the waiting thread raises it
        answer.set_exception(error)


def _options(idempotency_key: str | None) -> "Emails.SendOptions | None":
    return {"idempotency_key": idempotency_key} if idempotency_key else None


def _retry_after(error: "ResendError") -> int | None:
    """Return Resend's Retry-After in seconds; values far above a day are ignored."""
    headers = {name.lower(): value for name, value in error.headers.items()}
    seconds = headers.get("retry-after", "")
    return int(seconds) if re.fullmatch("[0-9]{1,5}", seconds) else None
