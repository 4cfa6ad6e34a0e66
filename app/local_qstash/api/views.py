"""Rows of the state file as the JSON objects of the API, redacted where the publisher asked."""

import hashlib
import json
import sqlite3
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from ..engine.callbacks import header_map
from ..engine.schedules import Schedule
from ..protocol.admission import split_admission
from ..protocol.headers import Pair
from ..protocol.options import CallbackOptions, Options, Redaction, parse_options

Json = dict[str, Any]


def message_view(row: sqlite3.Row) -> Json:
    """Show a message; `row` has the columns of the messages table."""
    options = parse_options(_pairs(row["headers"]))
    return _present(
        {
            "messageId": row["id"],
            "url": row["url"],
            "topicName": row["topic"],
            "endpointName": row["endpoint"],
            "queueName": row["queue"],
            "scheduleId": row["schedule_id"],
            "callerIP": row["caller_ip"],
            "notBefore": row["not_before"],
            "createdAt": row["created_at"],
            "maxRetries": options.retries,
        }
        | _asked(options)
        | _text_or_base64("body", row["body"], options.redaction)
    )


def dead_letter_view(row: sqlite3.Row) -> Json:
    """Show a dead letter; `row` adds its columns, prefixed with letter_, to the message's."""
    headers = [(name, value) for name, value in json.loads(row["letter_headers"])]
    return (
        message_view(row)
        | {"dlqId": row["letter_id"], "responseStatus": row["letter_status"]}
        | _present({"responseHeader": header_map(headers)})
        | _text_or_base64("responseBody", row["letter_body"], None)
    )


def event_view(row: sqlite3.Row, body_bytes: int | None = None) -> Json:
    """Show a log entry; `row` adds its columns, prefixed with event_, to the message's.

    At most `body_bytes` of a body are shown, all of it by default.
    """
    options = parse_options(_pairs(row["headers"]))
    asked = _asked(options)
    asked["callbackHeaders"] = asked.pop("callbackHeader")
    asked["failureCallbackHeaders"] = asked.pop("failureCallbackHeader")
    asked["retryDelayExpr"] = asked["retryDelayExpression"]
    return _present(
        {
            "time": row["event_time"],
            "messageId": row["id"],
            "state": row["event_state"],
            "url": row["url"],
            "error": row["event_error"],
            "nextDeliveryTime": row["event_next"],
            "topicName": row["topic"],
            "endpointName": row["endpoint"],
            "queueName": row["queue"],
            "scheduleId": row["schedule_id"],
            "callerIP": row["caller_ip"],
            "maxRetries": options.retries,
            "timeout": options.timeout * 1000 if options.timeout else None,
            "body": _redacted_base64(row["body"], options.redaction, body_bytes),
        }
        | asked
        | _response(row, body_bytes)
    )


def schedule_view(schedule: Schedule, next_time: int | None, states: dict[str, str]) -> Json:
    """Show a schedule. Its `delay` and `timeout` are in seconds."""
    admission, pairs = split_admission(schedule.pairs)
    options = parse_options(pairs)
    return _present(
        {
            "scheduleId": schedule.id,
            "destination": schedule.destination,
            "cron": schedule.cron,
            "createdAt": schedule.created_at,
            "retries": options.retries,
            "delay": admission.delay or None,
            "timeout": options.timeout,
            "callerIP": schedule.caller_ip,
            "isPaused": schedule.paused,
            "queueName": schedule.queue,
            "lastScheduleTime": schedule.last_time,
            "nextScheduleTime": None if schedule.paused else next_time,
            "lastScheduleStates": states or None,
            "error": schedule.error,
        }
        | _asked(options)
        | _text_or_base64("body", schedule.body, options.redaction)
    )


def _asked(options: Options) -> Json:
    flow = options.flow
    return {
        "method": options.method,
        "header": header_map(_redacted_headers(options.headers, options.redaction)) or None,
        "callback": options.callback.url if options.callback else None,
        "callbackHeader": _callback_headers(options.callback, options.redaction),
        "failureCallback": options.failure_callback.url if options.failure_callback else None,
        "failureCallbackHeader": _callback_headers(options.failure_callback, options.redaction),
        "retryDelayExpression": options.retry_delay,
        "label": options.labels[0] if options.labels else None,
        "labels": list(options.labels) or None,
        "flowControlKey": flow.key if flow else None,
        "parallelism": flow.parallelism if flow else None,
        "rate": flow.rate if flow else None,
        "period": flow.period if flow else None,
    }


def _callback_headers(
    callback: CallbackOptions | None, redaction: Redaction | None
) -> dict[str, list[str]] | None:
    if callback is None:
        return None
    return header_map(_redacted_headers(callback.headers, redaction)) or None


def _response(row: sqlite3.Row, body_bytes: int | None) -> Json:
    if row["event_status"] is None:
        return {}
    headers = header_map((name, value) for name, value in json.loads(row["event_headers"]))
    return {
        "responseStatus": row["event_status"],
        "responseHeader": headers,
        "responseHeaders": headers,
        "responseBody": b64encode(row["event_body"][:body_bytes]).decode(),
    }


def _redacted_headers(pairs: Iterable[Pair], redaction: Redaction | None) -> Iterable[Pair]:
    for name, value in pairs:
        hidden = redaction and (redaction.all_headers or name in redaction.names)
        yield name, _redacted(value.encode("utf-8", "surrogatepass")) if hidden else value


def _redacted(value: bytes) -> str:
    return f"REDACTED:{hashlib.sha256(value).hexdigest()}"


def _text_or_base64(name: str, body: bytes, redaction: Redaction | None) -> Json:
    if not body:
        return {}
    if redaction and redaction.body:
        return {name: _redacted(body)}
    try:
        return {name: body.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": b64encode(body).decode()}


def _redacted_base64(
    body: bytes, redaction: Redaction | None, body_bytes: int | None
) -> str | None:
    if redaction and redaction.body:
        return _redacted(body)
    return b64encode(body[:body_bytes]).decode() or None


def _pairs(text: str) -> tuple[Pair, ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _present(fields: Json) -> Json:
    """Omit missing values: QStash leaves keys out rather than sending null."""
    return {key: value for key, value in fields.items() if value is not None}
