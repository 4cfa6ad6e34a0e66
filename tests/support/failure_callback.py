"""QStash's report that it has given a message up."""

import json
from base64 import b64encode
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.qstash import deliver

PATH = "/api/jobs/failure-callback"


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b64encode(raw).decode()


def report(job: Any, message_id: str = "msg_1", **members: Any) -> dict[str, Any]:
    return {
        "status": 503,
        "header": {"Content-Type": ["text/plain"]},
        "body": encoded(b"upstream is away\n"),
        "retried": 3,
        "maxRetries": 3,
        "sourceMessageId": message_id,
        "url": "https://app.example.com/api/jobs/sample",
        "method": "POST",
        "sourceHeader": {},
        "sourceBody": encoded(job),
        "dlqId": "1-0",
        **members,
    }


def call_back(client: FlaskClient, body: Any, query: str = "") -> TestResponse:
    return deliver(client, body, PATH + query)
