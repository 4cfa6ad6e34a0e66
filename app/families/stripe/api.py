"""Requests to Stripe through its SDK: only for what an event lacks, and only with a key.

`stripe` is imported where it is used, because it takes twice as long as Flask.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import current_app

from app.jobs import Job, RetryLater

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

#: Seconds of the job's time reserved for recording Stripe's answer.
RESERVE = 2.0
#: Seconds to wait if Stripe does not say; its limits count per second.
PAUSE = 5

_ITEM_EXPANDED = [
    "data.price.tiers",
    "data.price.currency_options",
    "data.discounts.source.coupon",
]

Ask = Callable[["StripeClient"], Any]


class StripeUnavailable(Exception):
    """Stripe did not answer, or not as expected; a retry may help."""


class StripeKeyRefused(Exception):
    """Stripe rejects STRIPE_SECRET_KEY for this; a retry helps once the key is fixed."""


class Stripe:
    """Stripe, within the time limit of a job.

    Each method returns None if there is no key, or if Stripe does not know the id.

    Raises:
        RetryLater: The rate limit is reached.
        StripeKeyRefused, StripeUnavailable: See these classes.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def can_be_asked(self) -> bool:
        return bool(current_app.config["STRIPE_SECRET_KEY"])

    def subscription(self, subscription_id: str) -> dict[str, Any] | None:
        """Return a subscription with its discounts' terms; those of its items are in `items`."""
        expand: Any = {"expand": ["discounts.source.coupon.applies_to"]}
        return self._ask(lambda client: client.v1.subscriptions.retrieve(subscription_id, expand))

    def items(self, subscription_id: str) -> list[dict[str, Any]]:
        """Return all items of a subscription, with everything that determines their price."""
        found: list[dict[str, Any]] = []
        about: Any = {"subscription": subscription_id, "limit": 100, "expand": _ITEM_EXPANDED}
        while True:
            page = self._items_page(about)
            found += page.get("data", [])
            if not page.get("data") or not page.get("has_more"):
                return found
            about = {**about, "starting_after": found[-1]["id"]}

    def _items_page(self, about: Any) -> dict[str, Any]:
        return self._ask(lambda client: client.v1.subscription_items.list(about)) or {}

    def product_name(self, product_id: str) -> str | None:
        return (self._ask(lambda client: client.v1.products.retrieve(product_id)) or {}).get("name")

    def customer(self, customer_id: str) -> dict[str, Any] | None:
        return self._ask(lambda client: client.v1.customers.retrieve(customer_id))

    def _ask(self, ask: Ask) -> dict[str, Any] | None:
        if not self.can_be_asked:
            return None
        with _told_apart(), _client(self._job.deadline - RESERVE) as client:
            try:
                found: dict[str, Any] = ask(client).to_dict()
            except _error_types().InvalidRequestError as error:
                if error.http_status == HTTPStatus.NOT_FOUND:
                    return None
                raise
            return found


@contextmanager
def _client(patience: float) -> Iterator["StripeClient"]:
    """Yield a separate client and close its connections; QStash does the retries."""
    import stripe  # noqa: PLC0415 - see above

    http = stripe.RequestsClient(timeout=max(0.1, patience))
    config = current_app.config
    try:
        yield stripe.StripeClient(
            config["STRIPE_SECRET_KEY"],
            base_addresses={"api": config["STRIPE_API_URL"].rstrip("/")},
            http_client=http,
            max_network_retries=0,
        )
    finally:
        http.close()  # type: ignore[no-untyped-call] # theirs


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except _error_types().StripeError as error:
        raise consequence(error) from error


def consequence(error: "StripeError") -> Exception:
    """Return what an error from Stripe means for the job."""
    said = f"Stripe answered {error.http_status}: {error.user_message or error}"
    match error.http_status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return StripeKeyRefused(f"Stripe rejects STRIPE_SECRET_KEY. {said}")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RetryLater(_retry_after(error), said)
        case None:
            return StripeUnavailable(f"Stripe could not be reached: {error.user_message or error}")
    return StripeUnavailable(said)


def _retry_after(error: "StripeError") -> int:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    seconds = str(headers.get("retry-after", ""))
    return int(seconds) if seconds.isdigit() and len(seconds) < len("100000") else PAUSE


def _error_types() -> Any:
    import stripe  # noqa: PLC0415 - see above

    return stripe
