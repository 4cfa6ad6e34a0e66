"""The messages that report on a message: after every attempt, and once when it has failed."""

import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..protocol.headers import Pair
from ..protocol.options import CallbackOptions, parse_options
from .message import Message
from .transport import Answer

# As JSON.stringify writes it: some receivers verify their own serialisation of what they parsed.
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def callback_message(
    message: Message, target: CallbackOptions, answer: Answer, *, dlq_id: str | None = None
) -> Message:
    """Return the message that tells `target` of an attempt; `dlq_id` if it was the last one."""
    pairs = _pairs(message, target)
    held_queue, held_by = message.place or (None, None)
    return Message(
        url=target.url,
        options=parse_options(pairs),
        body=_compact(_report(message, answer, dlq_id)).encode("utf-8", "replace"),
        pairs=pairs,
        caller_ip=message.caller_ip,
        held_queue=held_queue,
        held_by=held_by,
    )


def header_map(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Return headers in QStash's form: name to a list of values."""
    shown: dict[str, list[str]] = {}
    for name, value in pairs:
        shown.setdefault(name, []).append(value)
    return shown


def _report(message: Message, answer: Answer, dlq_id: str | None) -> dict[str, Any]:
    optional = {
        "dlqId": dlq_id,
        "topicName": message.topic,
        "endpointName": message.endpoint,
        "scheduleId": message.schedule_id,
        "callerIP": message.caller_ip,
    }
    return {
        "status": answer.status,
        "header": header_map(answer.headers),
        "body": b64encode(answer.body).decode(),
        "retried": message.retried,
        "maxRetries": message.options.retries,
        "sourceMessageId": message.id,
        "url": message.url,
        "method": message.options.method,
        "sourceHeader": header_map(message.options.headers),
        "sourceBody": b64encode(message.body or b"").decode(),
        "notBefore": message.not_before,
        "createdAt": message.created_at,
    } | {key: value for key, value in optional.items() if value}


def _pairs(message: Message, target: CallbackOptions) -> tuple[Pair, ...]:
    """Return a callback's options as the headers that a publisher would have sent."""
    retries = message.options.retries if target.retries is None else target.retries
    pairs = [
        ("content-type", "application/json"),
        ("upstash-method", target.method),
        ("upstash-retries", str(retries)),
        *((f"upstash-forward-{name.lower()}", value) for name, value in target.headers),
    ]
    if target.retry_delay is not None:
        pairs.append(("upstash-retry-delay", target.retry_delay))
    if target.timeout is not None:
        pairs.append(("upstash-timeout", f"{target.timeout}s"))
    if message.options.redaction:
        # The report repeats the original's body and headers, so all of it is redacted.
        redaction = replace(message.options.redaction, body=True)
        pairs.append(("upstash-redact-fields", str(redaction)))
    return tuple(pairs)
