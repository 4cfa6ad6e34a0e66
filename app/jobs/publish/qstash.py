"""Jobs to QStash, through its SDK."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPException
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from ..errors import (
    InvalidOption,
    PublishError,
    PublishRefused,
    PublishUnavailable,
    QuotaUsedUp,
)
from ..message import Message
from ..registry import is_elsewhere
from ..values import callback_urls
from ..values.ids import header_safe
from ..values.options import LONGEST_TIMEOUT
from .connections import KeepAliveClient, Limits, context_of, needs_a_proxy
from .quota import Gate, read

if TYPE_CHECKING:
    from qstash import QStash
    from qstash.errors import DailyMessageLimitExceededError
    from qstash.schedule import Schedule

T = TypeVar("T")

# What of the budget each phase may take; connecting counts twice (TCP, then TLS).
_PHASES = {"connect": 0.2, "write": 0.1, "read": 0.5}

#: What QStash answers where the message itself is wrong, so that no later try can help. Whatever
#: else it answers, or a proxy before it, says nothing of the message: a token that was rotated, a
#: quota, a firewall.
REFUSALS = frozenset({400, 413, 422})
RATE_LIMITED = 429
#: The plan has no more schedules, queues or the like.
NO_ROOM = 412

#: Seconds that QStash waits beyond a job's timeout: at that the handler is stopped, and what it
#: came to must still be recorded and answered. Less than a lease outlives the timeout.
MARGIN = 10
#: Of the hash that names an app where JOBS_NAMESPACE does not.
OWN_DIGITS = 8

#: Where QStash says that it has given up a message, and how often it tries to say so.
FAILURE_CALLBACK = "/api/jobs/failure-callback"
FAILURE_CALLBACK_RETRIES = 3
#: Where it tells how an attempt ended that was not made here.
CALLBACK = "/api/jobs/callback"
#: Tells a delivery how often QStash retries, as QStash has no header for that: for a firing of a
#: schedule, which has no row before.
RETRIES_HEADER = "Jobs-Retries"
DEDUPLICATION_HEADER = "Upstash-Deduplication-Id"


class Publisher:
    """A thread-safe client, made at the first use, so that a fork before it does not share it."""

    def __init__(
        self, *, url: str, token: str, base_url: str, budget: float, namespace: str = ""
    ) -> None:
        self._url = url
        self._namespace = namespace or sha256(base_url.encode()).hexdigest()[:OWN_DIGITS]
        self._token = token
        self._base_url = base_url
        self._budget = budget
        self.quota = Gate()
        self.forget_client()

    #: How many messages one batch request carries, and bytes of them at most: QStash takes 100 MB,
    #: and has to answer within the budget.
    BATCH, BATCH_BYTES = 250, 8 * 1024 * 1024

    def publish(self, message: Message) -> str:
        """Hand a job to QStash and return the message id.

        Raises:
            PublishUnavailable: QStash could not be reached, or was busy or broken, or its quota is
                used up.
            PublishRefused: QStash will not take this message, now or later.
        """
        if self.quota.known is not None:
            self.quota.check()
        _check_callbacks([message.options])
        request = _written(lambda: self._message(message))
        if "queue" in request:
            return self._call(lambda: _message_id(self._client.message.enqueue(**request)))
        return self._call(lambda: _message_id(self._client.message.publish(**request)))

    def publish_many(self, messages: Sequence[Message]) -> list[str | None]:
        """Hand jobs to QStash in one request; return the message ids, None where one was not taken.

        Raises:
            PublishUnavailable, PublishRefused: As for `publish`, for all of them.
        """
        if self.quota.known is not None:
            self.quota.check()
        _check_callbacks([message.options for message in messages])
        body = _written(lambda: self._batch_body(messages))
        answers = self._call(lambda: self._batch(body))
        if not isinstance(answers, list) or len(answers) != len(messages):
            raise PublishUnavailable(f"{self._url} did not answer like QStash: check QSTASH_URL")
        return [answer.get("messageId") for answer in answers]

    def schedule(
        self, endpoint: str, cron: str, body: str, options: Mapping[str, Any], **details: Any
    ) -> str:
        """Create or replace a schedule and return its id; raises as `publish` does."""
        _check_callbacks([options])
        request = self._request(endpoint, options) | {
            "destination": self.destination(endpoint),
            "cron": cron,
            "body": body,
            "delay": options.get("delay"),
            "queue": self.own(options["queue"]) if "queue" in options else None,
            **details,
        }
        if "retries" in options:
            request["headers"][RETRIES_HEADER] = str(options["retries"])
        return self._call(lambda: self._client.schedule.create(**request))

    def schedules(self) -> list["Schedule"]:
        """Return the account's schedules, also those of other apps; raises as `publish` does."""
        return self.call(lambda qstash: qstash.schedule.list())

    def is_called_by(self, schedule: "Schedule") -> bool:
        """Tell whether a schedule calls this app."""
        return schedule.destination.startswith(self.destination("/"))

    def taken_by(self, schedule_id: str) -> str | None:
        """Return which address a schedule of this id calls, if it is another app's."""
        for schedule in self.schedules():
            if schedule.schedule_id == schedule_id and not self.is_called_by(schedule):
                return schedule.destination
        return None

    def call(self, question: Callable[["QStash"], T]) -> T:
        """Ask QStash's API anything else; raises as `publish` does."""
        return self._call(lambda: question(self._client))

    def own(self, name: str) -> str:
        """Return the name of a queue, a limit, a schedule or a publish as QStash has it.

        All apps of an account share these: without its own prefix, staging would have
        production's, or, with a copy of its database, keep it from publishing.
        """
        return f"{self._namespace}.{name}"

    def destination(self, endpoint: str) -> str:
        """Return where QStash delivers: below BASE_URL, or where a worker is that is not ours."""
        return endpoint if is_elsewhere(endpoint) else f"{self._base_url}{endpoint}"

    def failure_callback(self, forward_to: str | None) -> str:
        """Return our own failure callback; the caller's is in its query, which QStash signs."""
        return self._told(FAILURE_CALLBACK, forward_to)

    def close(self) -> None:
        if self._made is not None:
            self._made.http._client.close()  # noqa: SLF001 - the SDK has no close method

    def forget_client(self) -> None:
        """Use a new client from now on, and leave the present one's connections alone."""
        self._made: QStash | None = None
        self._making = Lock()

    @property
    def _client(self) -> "QStash":
        with self._making:
            self._made = self._made or self._new_client()
            return self._made

    def _new_client(self) -> "QStash":
        import httpx  # noqa: PLC0415 - slow to import, and only publishing needs it
        from qstash import QStash  # noqa: PLC0415 - as above

        client = QStash(self._token, retry=False, base_url=self._url)
        limits = {phase: share * self._budget for phase, share in _PHASES.items()}
        given = client.http._client  # noqa: SLF001 - it has no settings, and waits ten minutes
        if needs_a_proxy(self._url):
            given.timeout = httpx.Timeout(None, **limits)
        else:
            own: Any = KeepAliveClient(self._url, Limits(**limits), context_of(given))
            client.http._client = own  # noqa: SLF001
        return client

    def _told(self, path: str, forward_to: str | None) -> str:
        query = f"?{urlencode({'forward': forward_to})}" if forward_to else ""
        return self.destination(path) + query

    def _message(self, message: Message) -> dict[str, Any]:
        """Return the SDK's arguments for one message."""
        request = self._request(message.endpoint, message.options) | {
            "url": self.destination(message.endpoint),
            "body": message.body,
            "deduplication_id": self.own(deduplication_id(message)),
        }
        if "queue" in message.options:
            return request | {"queue": self.own(message.options["queue"])}
        return request | _when(message)

    def _batch_body(self, messages: Sequence[Message]) -> str:
        """Have the SDK write one message of each kind; the others differ in two members only."""
        from qstash.message import prepare_batch_message_body  # noqa: PLC0415 - slow to import

        written: dict[Any, dict[str, Any]] = {}
        items = []
        for message in messages:
            kind = (
                id(message.options),
                message.endpoint,
                message.available_at,
                message.reschedules,
            )
            if kind not in written:
                requests: Any = [self._message(message)]
                [written[kind]] = json.loads(prepare_batch_message_body(requests))
            own = {DEDUPLICATION_HEADER: self.own(deduplication_id(message))}
            headers = written[kind]["headers"] | own
            items.append(written[kind] | {"headers": headers, "body": message.body})
        return json.dumps(items)

    def _batch(self, body: str) -> Any:
        # The SDK writes the request, but reading the answer it would stop at a message that
        # failed, and lose the ids of all the others.
        return self._client.http.request(
            path="/v2/batch",
            method="POST",
            headers={"Content-Type": "application/json"},
            body=body,
        )

    def _request(self, endpoint: str, options: Mapping[str, Any]) -> dict[str, Any]:
        names = ("retries", "retry_delay", "callback", "label")
        request = {name: options[name] for name in names if name in options}
        if "timeout" in options:
            request["timeout"] = min(options["timeout"] + MARGIN, LONGEST_TIMEOUT)
        if is_elsewhere(endpoint):
            # Its worker is elsewhere, and only QStash can tell how an attempt ended.
            request["callback"] = self._told(CALLBACK, options.get("callback"))
            request["callback_headers"] = {"Retries": str(FAILURE_CALLBACK_RETRIES)}
        request["failure_callback"] = self.failure_callback(options.get("failure_callback"))
        # Without a prefix the SDK takes a header for the callback's own configuration.
        request["failure_callback_headers"] = {"Retries": str(FAILURE_CALLBACK_RETRIES)}
        if "flow_control" in options:
            limit = dict(options["flow_control"])
            request["flow_control"] = limit | {"key": self.own(limit["key"])}
        request["headers"] = dict(options.get("headers", {}))
        request["content_type"] = "application/json"
        return request

    def _call(self, request: Callable[[], T]) -> T:
        import httpx  # noqa: PLC0415 - loaded with the client
        from qstash.errors import (  # noqa: PLC0415 - as above
            DailyMessageLimitExceededError,
            QStashError,
            RateLimitExceededError,
        )

        try:
            try:
                return request()
            except httpx.RemoteProtocolError:
                # The proxy closed an idle connection just as we used it. Deduplication makes the
                # repetition harmless.
                return request()
        except (OSError, HTTPException, httpx.HTTPError) as error:
            reason = str(error) or type(error).__name__
            raise PublishUnavailable(
                f"QStash at {self._url} cannot be reached: {reason}", is_outage=True
            ) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PublishUnavailable(
                f"{self._url} did not answer like QStash: check QSTASH_URL"
            ) from error
        except DailyMessageLimitExceededError as error:
            raise self._used_up(error) from error
        except RateLimitExceededError as error:
            limited = f"QStash limits the rate: {error}"
            raise PublishUnavailable(limited, status=RATE_LIMITED, is_outage=True) from error
        except QStashError as error:
            raise _classified(error) from error

    def _used_up(self, error: "DailyMessageLimitExceededError") -> QuotaUsedUp:
        known = read(error.limit, error.reset)
        self.quota.close(known)
        return QuotaUsedUp(str(known), until=known.until, status=RATE_LIMITED)


def deduplication_id(message: Message) -> str:
    """Return what tells one publish of a job from another, but not from a repetition of itself."""
    job_id = header_safe(message.job_id)
    return f"{job_id}-{message.generation}-{message.legs}-{message.reschedules}"


def _written(write: Callable[[], T]) -> T:
    """Write a request; what cannot even be written will never be taken."""
    try:
        return write()
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise PublishRefused(f"the message cannot be written: {reason}") from error


def _check_callbacks(options: Sequence[Mapping[str, Any]]) -> None:
    """Look callbacks' hosts up again: at enqueue nobody may have known one, or it meant another."""
    for url in {given["callback"] for given in options if "callback" in given}:
        try:
            callback_urls.check_again("callback", url)
        except InvalidOption as error:
            raise PublishRefused(str(error)) from None
        except callback_urls.Unresolved as error:
            raise PublishUnavailable(str(error)) from None


def _message_id(answer: Any) -> str:
    return str(answer.message_id)


def _when(message: Message) -> dict[str, Any]:
    """Return the option that delays: as it was asked, or what is left of it at a later publish."""
    if message.available_at is None:
        return {}
    if "not_before" in message.options and not message.reschedules:
        return {"not_before": ceil(message.available_at.timestamp())}
    left = ceil((message.available_at - datetime.now(UTC)).total_seconds())
    return {"delay": left} if left > 0 else {}


def _classified(error: Exception) -> PublishError:
    """Tell a refusal from trouble; the SDK gives the status only in the text."""
    match = re.search(r"status: (\d+)", str(error))
    status = int(match[1]) if match else None
    if status in REFUSALS:
        return PublishRefused(f"QStash refuses the message: {error}", status=status)
    if status == NO_ROOM:
        said = f"QStash's plan has no room: {error}; delete what is not needed there, or upgrade"
        return PublishUnavailable(said, status=status)
    trouble = PublishUnavailable(f"QStash is in trouble: {error}", status=status)
    if trouble.needs_a_person:
        said = f"QStash turns this app away: {error}; check QSTASH_TOKEN, the plan and its quotas"
        return PublishUnavailable(said, status=status)
    return trouble
