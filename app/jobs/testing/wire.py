"""Requests as QStash makes them: https://upstash.com/docs/qstash/howto/signature."""

import json
from base64 import b64encode, urlsafe_b64encode
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from time import time
from typing import Any
from uuid import uuid4

import jwt
from flask import Flask, current_app
from werkzeug.test import TestResponse

from ..execute.delivery import HEADER, firing_id
from ..publish import outbox
from ..registry import get_job_config
from ..table.models import JobExecution, Status
from ..values import jsonb

#: Seconds for which a signature is good.
LIFETIME = 300
#: How often QStash tries again where the publisher does not say.
QSTASH_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Post:
    """A request to be signed: `target` is the path and query below BASE_URL."""

    target: str
    body: bytes
    headers: dict[str, str]


def delivery(
    row: JobExecution, *, retried: int | None = None, message_id: str | None = None
) -> Post:
    """Return the delivery that QStash would make next, or the given one."""
    message_id = message_id or message_id_of(row)
    headers = {
        "Content-Type": "application/json",
        **row.options.get("headers", {}),
        "Upstash-Message-Id": message_id,
        "Upstash-Retried": str(retried_of(row) if retried is None else retried),
    }
    if row.schedule_id and not _was_published_here(row, message_id):
        headers["Upstash-Schedule-Id"] = row.schedule_id
    endpoint = get_job_config(row.job_type).endpoint
    return Post(endpoint, jsonb.dumps(row.payload).encode(), headers)


def _was_published_here(row: JobExecution, message_id: str) -> bool:
    """Tell whether the message of a schedule's firing is not the schedule's own.

    Such as that of one that was put off, or made up for: it names the job, and no schedule.
    """
    metadata = row.payload.get("metadata")
    is_firing = isinstance(metadata, dict) and "cron" in metadata
    return is_firing and row.job_id != firing_id(message_id)


def max_retries_of(row: JobExecution) -> int:
    """Return how often QStash tries again: where nobody said so, as often as it does by itself."""
    return QSTASH_RETRIES if row.max_retries is None else row.max_retries


def failure_callback(row: JobExecution, answer: TestResponse, retried: int) -> Post:
    """Return what QStash posts when it gives up after an answer."""
    publisher = outbox.publisher()
    brings_schedule = row.schedule_id and not _was_published_here(row, message_id_of(row))
    report = {
        "status": answer.status_code,
        "header": {name: [value] for name, value in answer.headers.items()},
        "body": b64encode(answer.data).decode(),
        "retried": retried,
        "maxRetries": max_retries_of(row),
        "sourceMessageId": message_id_of(row),
        "url": publisher.destination(get_job_config(row.job_type).endpoint),
        "method": "POST",
        "sourceBody": b64encode(jsonb.dumps(row.payload).encode()).decode(),
        "dlqId": f"dlq_{row.job_id}",
        **({"scheduleId": row.schedule_id} if brings_schedule else {}),
    }
    url = publisher.failure_callback(row.options.get("failure_callback"))
    target = url.removeprefix(publisher.destination(""))
    return Post(target, json.dumps(report).encode(), {"Content-Type": "application/json"})


def post(app: Flask, request: Post) -> TestResponse:
    """Sign a request and make it, apart from the context (and so the session) of the test."""
    base_url = app.config["BASE_URL"]
    token = sign(request, base_url + request.target, app.config["QSTASH_CURRENT_SIGNING_KEY"])
    send = partial(
        app.test_client(use_cookies=False).post,
        request.target,
        base_url=base_url,
        data=request.body,
        headers={**request.headers, HEADER: token},
        buffered=True,
    )
    return Context().run(send)


def this_app() -> Flask:
    """Return the current app itself, for a thread that has no context."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    return app


def sign(request: Post, url: str, key: str) -> str:
    """Return the token that covers a request's URL and body."""
    now = int(time())
    claims: dict[str, Any] = {
        "iss": "Upstash",
        "sub": url,
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
        "jti": f"jwt_{uuid4().hex}",
        "body": urlsafe_b64encode(sha256(request.body).digest()).decode(),
    }
    return jwt.encode(claims, key, algorithm="HS256")


def message_id_of(row: JobExecution) -> str:
    """Return the message that brings a job; one that was never published gets a made-up one."""
    return row.message_id or f"msg_{row.job_id}-{row.generation}-{row.legs}-{row.reschedules}"


def retried_of(row: JobExecution) -> int:
    """Return how often QStash has tried before the next delivery."""
    waits_for_retry = row.status == Status.FAILED and row.dead_at is None
    return 0 if row.status == Status.PENDING else row.retry_count + waits_for_retry
