"""Post JSON to a URL, and interpret the answer."""

from collections.abc import Mapping
from http import HTTPStatus

from app.jobs import PermanentError, RetryLater

#: Answers worth a retry, besides server errors.
FOR_NOW = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
MAX_WAIT = 24 * 60 * 60


class NotTaken(Exception):
    """The recipient did not accept it this time."""


def post(
    name: str, url: str, body: bytes, *, patience: float, headers: Mapping[str, str] | None = None
) -> None:
    """Post JSON.

    Args:
        name: The recipient's name, for errors: the URL may be a secret.
        url: Redirects are not followed.
        body: JSON.
        patience: Seconds.
        headers: Besides Content-Type.

    Raises:
        PermanentError: The recipient rejects it.
        RetryLater: The recipient says when to retry.
        NotTaken: The recipient is unreachable, or has a server error.
    """
    import httpx  # noqa: PLC0415 - slow to import, and only sending needs it

    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        answer = httpx.post(url, content=body, headers=sent, timeout=max(0.1, patience))
    except httpx.HTTPError as error:
        raise NotTaken(f"{name} cannot be reached: {type(error).__name__}") from None
    if answer.is_success:
        return
    said = f"{name} answered {answer.status_code}"
    wait = answer.headers.get("Retry-After", "")
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise RetryLater(min(int(wait), MAX_WAIT) if wait.isdecimal() else 60, said)
    if answer.is_server_error or answer.status_code in FOR_NOW:
        raise NotTaken(said)
    raise PermanentError(said)
