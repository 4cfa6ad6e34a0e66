"""Only QStash may deliver: everything else is answered 401 and leaves nothing behind."""

import json
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import db
from app.jobs import JobExecution
from tests.support.qstash import BASE_URL, CURRENT, NEXT, b64, claims_for, deliver, envelope, token

LARGEST = 1024 * 1024
URL = f"{BASE_URL}/api/jobs/sample"
BODY = json.dumps(envelope({"action": "none"})).encode()


def changed(**claims: Any) -> str:
    return token({**claims_for(BODY, URL), **claims})


def without(claim: str) -> str:
    return token({key: value for key, value in claims_for(BODY, URL).items() if key != claim})


def unsigned() -> str:
    header = b64(b'{"alg":"none","typ":"JWT"}')
    return f"{header}.{b64(json.dumps(claims_for(BODY, URL)).encode())}."


FORGERIES: dict[str, Callable[[], str]] = {
    "none at all": lambda: "",
    "garbage": lambda: "not.a.token",
    "expired": lambda: changed(iat=0, exp=int(time.time()) - 60),
    "not valid yet": lambda: changed(nbf=int(time.time()) + 60),
    "algorithm none": unsigned,
    "algorithm RS256": lambda: token(claims_for(BODY, URL), alg="RS256"),
    "algorithm HS512": lambda: jwt.encode(claims_for(BODY, URL), CURRENT * 2, algorithm="HS512"),
    "an old key": lambda: token(claims_for(BODY, URL), key="sig_0000000000000000000000000000"),
    "another URL": lambda: changed(sub=f"{BASE_URL}/api/jobs/other"),
    "another host": lambda: changed(sub="https://evil.example.com/api/jobs/sample"),
    "another body": lambda: token(claims_for(b"{}", URL)),
    "a body claim that is a number": lambda: changed(body=1),
    "another issuer": lambda: changed(iss="Downstash"),
    "an expiry beyond any calendar": lambda: changed(exp=10**18),
    "an expiry beyond any number": lambda: changed(exp=10**400),
    "no expiry ever": lambda: changed(exp=float("inf")),
    "a beginning beyond any number": lambda: changed(nbf=10**400),
    "an issue that is no number": lambda: changed(iat=None),
    "an issue before all time": lambda: changed(iat=float("-inf")),
    "claims that are not an object": lambda: token([claims_for(BODY, URL)]),
    "a header that must be understood": lambda: token(claims_for(BODY, URL), crit=["b64"]),
    **{
        f"no {claim} claim": lambda claim=claim: without(claim)  # type: ignore[misc]
        for claim in ("iss", "sub", "exp", "nbf", "body")
    },
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_delivery_is_refused(client: FlaskClient, forge: Callable[[], str]) -> None:
    response = deliver(client, BODY, signature=forge())

    assert response.status_code == 401
    assert response.json == {"error": "Invalid QStash signature"}
    assert db.session.scalar(select(func.count()).select_from(JobExecution)) == 0


def test_a_missing_header_is_refused(client: FlaskClient) -> None:
    assert client.post("/api/jobs/sample", data=BODY).status_code == 401


def test_an_app_without_a_secret_key_refuses_it_too(app: Flask, client: FlaskClient) -> None:
    app.config["SECRET_KEY"] = None

    assert client.post("/api/jobs/sample", data=BODY).status_code == 401


@pytest.mark.parametrize("key", [CURRENT, NEXT])
def test_both_keys_count_while_they_are_rotated(client: FlaskClient, key: str) -> None:
    response = deliver(client, BODY, signature=token(claims_for(BODY, URL), key=key))

    assert response.status_code == 200


def test_the_host_header_does_not_count(client: FlaskClient) -> None:
    """The address comes from BASE_URL, so a forged Host changes nothing."""
    assert deliver(client, BODY, host="evil.example.com").status_code == 200


def test_a_clock_that_is_ahead_by_a_little_is_forgiven(client: FlaskClient) -> None:
    ahead = int(time.time()) + 3

    assert deliver(client, BODY, signature=changed(iat=ahead, nbf=ahead)).status_code == 200


def test_a_body_hash_without_padding_is_accepted(client: FlaskClient) -> None:
    stripped = claims_for(BODY, URL)["body"].rstrip("=")

    assert deliver(client, BODY, signature=changed(body=stripped)).status_code == 200


def test_a_body_that_is_not_text_can_be_verified(client: FlaskClient) -> None:
    """It is refused for what it is, not for its signature."""
    assert deliver(client, b"\xff\xfe").status_code == 489


def test_a_rotated_out_key_is_refused(app: Flask, client: FlaskClient) -> None:
    app.config["QSTASH_CURRENT_SIGNING_KEY"] = NEXT
    app.config["QSTASH_NEXT_SIGNING_KEY"] = "sig_9999999999999999999999999999"

    assert deliver(client, BODY).status_code == 401


def test_job_endpoints_take_only_post(client: FlaskClient) -> None:
    response = client.get("/api/jobs/sample")

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize("size", [LARGEST + 1, LARGEST + 2, 3 * LARGEST])
@pytest.mark.parametrize("chunked", [False, True])
def test_fault_K16_R23_qstash_is_told_not_to_come_again_with_what_is_too_large(
    client: FlaskClient, size: int, *, chunked: bool
) -> None:
    body = b" " * size
    stream = {"input_stream": BytesIO(body), "environ_base": {"wsgi.input_terminated": True}}
    sent: dict[str, Any] = stream if chunked else {"data": body}

    headers = {"Upstash-Signature": token(claims_for(body, URL))}
    answer = client.post("/api/jobs/sample", headers=headers, **sent)

    assert (answer.status_code, answer.headers["Upstash-NonRetryable-Error"]) == (489, "true")
    assert "too large" in answer.text


def test_a_body_of_the_limit_is_read(client: FlaskClient) -> None:
    assert "too large" not in deliver(client, b" " * LARGEST).text


def test_a_large_body_without_a_token_is_not_read(client: FlaskClient) -> None:
    assert deliver(client, b" " * (1024 * 1024 + 1), signature="").status_code == 401
