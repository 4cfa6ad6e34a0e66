"""Unique jobs and idempotency keys over HTTP: what an enqueue came to is told."""

from typing import Any

import pytest
from flask import Flask

from app.jobs import enqueue
from app.jobs.operate import Filter, actions
from app.jobs.testing import deliver
from tests.api.calling import Call, make_key
from tests.support.rows import count_rows
from tests.support.unique_jobs import bp

pytestmark = pytest.mark.usefixtures("published")
PAYLOAD = {"action": "permanent"}


@pytest.fixture(autouse=True)
def unique_types(app: Flask) -> None:
    app.register_blueprint(bp)


def post(call: Call, job_type: str, key: str, **given: Any) -> Any:
    return call("POST", "/api/jobs", key, json={"type": job_type, "payload": PAYLOAD, **given})


def test_the_answer_says_what_it_came_to(call: Call) -> None:
    key = make_key()

    one = [post(call, "one", key) for _ in range(2)]
    newest = [post(call, "newest", key) for _ in range(2)]

    for first, second, came_to in ((*one, "existing"), (*newest, "replaced")):
        assert (first.status_code, first.json["enqueuedAs"]) == (202, "new")
        assert (second.status_code, second.json["enqueuedAs"]) == (200, came_to)
        assert second.json["jobId"] == first.json["jobId"]
    assert count_rows() == 2


def test_a_conflict_is_409_and_a_reused_key_422_in_words(call: Call) -> None:
    key = make_key()
    first = post(call, "only", key).json["jobId"]

    answer = post(call, "only", key)

    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert answer.json["detail"] == (
        f"only is unique, and job {first} has the same payload: wait for that one, or cancel it."
    )
    for payload, status in (({"action": "a"}, 202), ({"action": "b"}, 422)):
        given = {"payload": payload, "idempotencyKey": "k", "idempotencyTtl": "1h"}
        reused = post(call, "sample", key, **given)
        assert reused.status_code == status
    assert "whose payload is another" in reused.json["errors"]["idempotencyKey"][0]
    both = post(call, "one", key, idempotencyKey="k")
    assert "the job is unique" in str(both.json["errors"]["idempotencyKey"])
    assert count_rows() == 2


def test_a_retry_whose_key_another_job_has_is_409(call: Call) -> None:
    key, first = make_key(), enqueue("one", PAYLOAD)
    deliver(first)
    second = enqueue("one", PAYLOAD)

    answer = call("POST", f"/api/jobs/{first}/retry", key)

    assert answer.status_code == 409
    assert f"job {second} has its key by now" in (answer.json or {})["detail"]
    actions.cancel(Filter(job_ids=(second,)), by="test")
    assert call("POST", f"/api/jobs/{first}/retry", key).status_code == 200
