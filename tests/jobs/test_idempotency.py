"""`assert_idempotent` tells the handlers that may run twice from those that must not."""

from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest
import requests
from flask import Flask, current_app
from marshmallow import fields
from sqlalchemy import select

from app.db import db
from app.jobs import Job, JobBlueprint, PayloadSchema, enqueue
from app.jobs.message import Message
from app.jobs.testing import assert_idempotent
from tests.support.http_server import HttpServer
from tests.support.sample_jobs import Effect

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
GOOD = {"action": "none", "count": 3}

bp = JobBlueprint("trials", __name__)


class TrialSchema(PayloadSchema[dict[str, Any]]):
    model = dict

    how = fields.String(required=True)


@bp.job("trial", "/trial", payload=TrialSchema)
def trial(payload: dict[str, Any], job: Job) -> None:  # noqa: C901, PLR0912 - a menu
    """Have an effect, in one of the ways that an author may think of."""
    url, effect = current_app.config.get("PROVIDER", ""), Effect(job_id=job.id, note="x")
    match payload["how"]:
        case "session":
            db.session.add(effect)
        case "nothing":
            return
        case "own-commit":
            db.session.add(effect)
            db.session.commit()
        case "own-commit-once":
            if not db.session.scalar(select(Effect).where(Effect.job_id == job.id)):
                db.session.add(effect)
                db.session.commit()
        case "random":
            db.session.add(Effect(job_id=job.id, note=f"at attempt {job.attempt}"))
        case "fails-after-itself":
            if db.session.scalar(select(Effect).where(Effect.job_id == job.id)):
                raise ValueError("I was here before")
            db.session.add(effect)
            db.session.commit()
        case "fails":
            raise ValueError("no")
        case "enqueues":
            enqueue("noop", GOOD)
        case "enqueues-in-session":
            enqueue("noop", GOOD, session=db.session)
        case "httpx-without-key":
            httpx.post(url, json=payload)
        case "httpx-with-key":
            httpx.post(url, json=payload, headers={"Idempotency-Key": job.idempotency_key})
        case "requests-without-key":
            requests.post(url, json=payload, timeout=5)
        case "requests-with-key":
            headers = {"Idempotency-Key": job.idempotency_key}
            requests.post(url, json=payload, headers=headers, timeout=5)
        case "key-with-other-body":
            headers = {"Idempotency-Key": job.idempotency_key}
            requests.post(url, data=f"attempt {job.attempt}", headers=headers, timeout=5)
        case "urllib-without-key":
            urlopen(Request(url, data=b"x", method="POST"))  # noqa: S310 - a server of the test's


@pytest.fixture
def trials(app: Flask) -> None:
    app.register_blueprint(bp)


@pytest.fixture
def provider(app: Flask) -> Iterator[HttpServer]:
    with HttpServer() as server:
        app.config["PROVIDER"] = server.url
        yield server


def said(error: pytest.ExceptionInfo[AssertionError]) -> str:
    return str(error.value)


@pytest.mark.parametrize(
    "how",
    ["session", "nothing", "own-commit-once", "enqueues-in-session"],
)
def test_good_handlers_pass(trials: None, published: list[Message], how: str) -> None:
    assert_idempotent("trial", {"how": how})


@pytest.mark.parametrize("how", ["httpx-with-key", "requests-with-key"])
def test_requests_with_the_jobs_key_pass(trials: None, provider: HttpServer, how: str) -> None:
    assert_idempotent("trial", {"how": how})
    assert len(provider.paths) == 2


def test_a_commit_of_its_own_is_found(trials: None) -> None:
    with pytest.raises(AssertionError) as error:
        assert_idempotent("trial", {"how": "own-commit"})

    assert "after a crash and a retry the database differs:\n  effects: 1 too many: {" in said(
        error
    )
    assert "leave out its own commit" in said(error)


def test_a_child_outside_the_transaction_is_found(trials: None, published: list[Message]) -> None:
    with pytest.raises(AssertionError, match=r"jobs enqueued: 1 too many.*noop"):
        assert_idempotent("trial", {"how": "enqueues"})


def test_a_column_that_differs_may_be_ignored(trials: None) -> None:
    with pytest.raises(AssertionError, match="at attempt 2"):
        assert_idempotent("trial", {"how": "random"})

    assert_idempotent("trial", {"how": "random"}, ignore=["effects.note"])


@pytest.mark.parametrize(
    ("how", "difference"),
    [
        ("httpx-without-key", "without an Idempotency-Key, once more"),
        ("requests-without-key", "without an Idempotency-Key, once more"),
        ("urllib-without-key", "without an Idempotency-Key, once more"),
        ("key-with-other-body", "which stood for another request before"),
    ],
)
def test_requests_that_do_something_twice_are_found(
    trials: None, provider: HttpServer, how: str, difference: str
) -> None:
    with pytest.raises(AssertionError) as error:
        assert_idempotent("trial", {"how": how})

    assert f"POST {provider.url}" in said(error)
    assert difference in said(error)
    assert "Give the receiver job.idempotency_key" in said(error)


def test_a_retry_that_fails_over_its_predecessor_is_found(trials: None) -> None:
    with pytest.raises(AssertionError, match=r"did not succeed.*I was here before"):
        assert_idempotent("trial", {"how": "fails-after-itself"})


def test_a_job_that_fails_cannot_be_tried(trials: None) -> None:
    with pytest.raises(AssertionError, match=r"must succeed.*answered 500.*ValueError: no"):
        assert_idempotent("trial", {"how": "fails"})


def test_what_was_there_before_does_not_matter(trials: None) -> None:
    db.session.add(Effect(job_id="x", note="y"))
    db.session.commit()

    assert_idempotent("trial", {"how": "session"})

    assert db.session.query(Effect).count() == 2
