"""From what a publisher sent to accepted messages: destinations, options, duplicates, one commit.

Publishes, batches, schedules and dead-letter retries all come in through here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ApiError, bad_request
from ..protocol.admission import Admission, split_admission
from ..protocol.destinations import check_url, is_url
from ..protocol.headers import Pair
from ..protocol.options import Options, parse_options
from ..settings import Limits
from ..store.batch import Batch, DatabaseCall
from .deduplication import Deduplication
from .engine import Engine
from .flow_keys import FlowKeys
from .message import Message
from .queues import Queues
from .url_groups import UrlGroups


@dataclass(frozen=True, slots=True)
class Order:
    """One item as published: a destination that may be a URL group, and what comes with it."""

    destination: str
    pairs: tuple[Pair, ...] = ()  # lower-case header names
    body: bytes = b""
    queue: str | None = None
    schedule_id: str | None = None
    caller_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message: its id, or its elder's if it is a duplicate."""

    message_id: str
    url: str
    deduplicated: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is ready to be accepted, unless `key` was seen before."""

    message: Message
    key: str | None


class Intake:
    """Accepts messages for one server."""

    def __init__(
        self, engine: Engine, limits: Limits, *, groups: UrlGroups, queues: Queues, flows: FlowKeys
    ) -> None:
        self._engine, self.limits, self.usage = engine, limits, engine.usage
        self._groups, self._queues, self._flows = groups, queues, flows
        self.deduplication = Deduplication(engine.clock)

    def draft(self, order: Order) -> list[Draft]:
        """Turn an order into one message per destination; accepts nothing yet.

        Raises:
            ApiError: 400, 412 or 413, saying which part of the order is wrong.
        """
        self._queues.check_room(order.queue)
        if len(order.body) > self.limits.message_bytes:
            raise ApiError(413, f"message body exceeds {self.limits.message_bytes} bytes")
        topic, pairs = order.destination, order.pairs
        if "upstash-cron" in dict(pairs):
            raise bad_request("Upstash-Cron: POST it to /v2/schedules/{destination} instead")
        if is_url(topic) or not self._groups.knows(topic):
            check_url(topic)
            return [self._draft(order, *split_admission(pairs))]
        admission, pairs = split_admission(self._groups.with_defaults(topic, pairs))
        return [
            self._draft(order, admission, pairs, topic=topic, **endpoint)
            for endpoint in self._groups.endpoints(topic)
        ]

    async def accept(
        self, drafts: Sequence[Draft], *, also: Sequence[DatabaseCall] = ()
    ) -> list[Receipt]:
        """Accept all drafts in one commit, leaving out duplicates, and return when it is on disk.

        What is `also` to be done becomes part of the same commit.

        Raises:
            sqlite3.Error: nothing was accepted.
        """
        claims = [self.deduplication.claim(draft.key, draft.message.id) for draft in drafts]
        fresh = [
            draft for draft, claim in zip(drafts, claims, strict=True) if not claim.deduplicated
        ]
        try:
            await self._commit(fresh, also)
        except BaseException:
            self.deduplication.forget(draft.key for draft in fresh)
            raise
        self.deduplication.confirm(draft.key for draft in fresh)
        for claim in claims:
            await claim.durable()
        return [
            Receipt(claim.message_id, draft.message.url, claim.deduplicated)
            for draft, claim in zip(drafts, claims, strict=True)
        ]

    async def _commit(self, fresh: Sequence[Draft], also: Sequence[DatabaseCall]) -> None:
        if not fresh and not also:
            return
        batch = Batch(calls=list(also))
        for draft in fresh:
            self._queues.ensure(draft.message.queue, batch)
            self._flows.adopt(draft.message.flow, batch)
            self.deduplication.record(draft.key, draft.message.id, batch)
        await self._engine.accept([draft.message for draft in fresh], batch)
        for draft in fresh:
            self.usage.count("scheduled" if draft.message.schedule_id else "published")
        self._queues.confirm(draft.message.queue for draft in fresh)
        self._flows.confirm(draft.message.flow for draft in fresh)

    def _draft(
        self,
        order: Order,
        admission: Admission,
        pairs: tuple[Pair, ...],
        *,
        url: str | None = None,
        name: str | None = None,
        topic: str | None = None,
    ) -> Draft:
        message = Message(
            url=url or order.destination,
            options=self._options(pairs),
            body=order.body,
            pairs=pairs,
            due_at=self._due_at(admission),
            topic=topic,
            endpoint=name,
            queue=order.queue,
            schedule_id=order.schedule_id,
            caller_ip=order.caller_ip,
        )
        return Draft(message, _deduplication_key(message, order.destination, admission))

    def _options(self, pairs: tuple[Pair, ...]) -> Options:
        options = parse_options(pairs)
        callbacks = (options.callback, options.failure_callback)
        retries = [options.retries, *(c.retries or 0 for c in callbacks if c)]
        if max(retries) > self.limits.retries:
            raise bad_request(f"quota maxRetries exceeded: at most {self.limits.retries}")
        return options

    def _due_at(self, admission: Admission) -> int:
        clock = self._engine.clock
        now = clock.now()  # once, or a moment that is asked for would be missed by a millisecond
        seconds = float(admission.delay)
        if admission.not_before is not None:
            seconds = admission.not_before - now / 1000
        if seconds > self.limits.delay_seconds:
            raise bad_request(f"quota maxDelay exceeded: at most {self.limits.delay_seconds}s")
        return clock.after(seconds, since=now) if seconds > 0 else 0


def _deduplication_key(message: Message, destination: str, admission: Admission) -> str | None:
    if admission.by_content:
        # Of headers with different names no order is kept on the way to here, so none counts.
        headers = sorted(message.options.headers, key=lambda pair: pair[0])
        digest = hashlib.sha256(repr([destination, message.url, headers]).encode())
        digest.update(message.body or b"")
        return f"content:{digest.hexdigest()}"
    if admission.deduplication_id is None:
        return None
    # The scope is the account; only the copies that one publish makes for a URL group differ.
    copy = f":{message.url}" if message.topic else ""
    return f"id:{admission.deduplication_id}{copy}"
