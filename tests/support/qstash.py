"""Deliveries built by hand from QStash's public protocol, not by our own code."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.config import DEV_QSTASH

CURRENT = DEV_QSTASH["QSTASH_CURRENT_SIGNING_KEY"]
NEXT = DEV_QSTASH["QSTASH_NEXT_SIGNING_KEY"]
BASE_URL = "https://app.example.com"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_for(body: bytes, url: str) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "Upstash",
        "sub": url,
        "iat": now,
        "nbf": 0,
        "exp": now + 300,
        "jti": f"jwt_{uuid.uuid4().hex}",
        "body": base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode(),
    }


def token(claims: Any, key: str = CURRENT, alg: str = "HS256", **header_too: Any) -> str:
    header = b64(json.dumps({"alg": alg, "typ": "JWT", **header_too}).encode())
    signed = f"{header}.{b64(json.dumps(claims).encode())}"
    mac = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{b64(mac)}"


def envelope(payload: dict[str, Any], job_type: str = "sample", **members: Any) -> dict[str, Any]:
    return {
        "jobId": str(uuid.uuid4()),
        "type": job_type,
        "payload": payload,
        "metadata": {"userId": 7, "createdAt": "2026-11-23T12:00:00.000Z"},
        **members,
    }


def deliver(
    client: FlaskClient,
    body: bytes | dict[str, Any],
    path: str = "/api/jobs/sample",
    *,
    signature: str | None = None,
    **headers: str,
) -> TestResponse:
    """Post as QStash does; headers by keyword, such as `upstash_retried="2"`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = token(claims_for(raw, BASE_URL + path)) if signature is None else signature
    sent = {"Upstash-Message-Id": "msg_1", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    return client.post(path, data=raw, headers={**sent, "Upstash-Signature": signature})
