"""`/api/batches` and `/api/signals`: list, show, cancel, retry, signal."""

from typing import Any

import pytest

from app.jobs import Unique, batch, workflow
from app.jobs.operate import audit
from app.jobs.testing import drain
from tests.api.calling import Call, make_key
from tests.support.sample_jobs import Sample, noop, sample

pytestmark = pytest.mark.usefixtures("published")


def make(*actions: str, **options: Any) -> str:
    with batch("invoices", **options) as made:
        made.enqueue_many(sample.s(Sample(action)) for action in actions)
    return made.id


def wait(**options: Any) -> str:
    with workflow("pays", **options) as made:
        made.add("ask", noop.s(Sample("none")))
        made.wait_for("invoice.paid", match={"invoice": 7}, timeout="1d", after=["ask"])
    return made.id


def test_batches_are_listed_page_by_page(call: Call) -> None:
    key = make_key()
    made = [make("none") for _ in range(3)]
    flow = wait()

    first = call("GET", "/api/batches?kind=batch&limit=2", key).json or {}
    assert [one["batchId"] for one in first["batches"]] == made[:0:-1]
    second = call("GET", f"/api/batches?kind=batch&limit=2&after={first['after']}", key).json or {}
    assert ([one["batchId"] for one in second["batches"]], second["after"]) == (made[:1], None)
    flows = (call("GET", "/api/batches?kind=workflow&state=running", key).json or {})["batches"]
    assert [(one["batchId"], one["percent"]) for one in flows] == [(flow, 0)]
    assert (call("GET", "/api/batches?state=failed", key).json or {})["batches"] == []
    listed = (call("GET", f"/api/jobs?batchId={made[0]}", key).json or {})["jobs"]
    assert [one["batchId"] for one in listed] == made[:1]


def test_one_is_shown_with_its_steps(call: Call) -> None:
    shown = call("GET", f"/api/batches/{wait(user_id=7)}", make_key("read")).json or {}

    assert (shown["kind"], shown["state"], shown["userId"]) == ("workflow", "running", 7)
    ask, paid = shown["steps"]
    assert (ask["state"], ask["jobType"], paid["state"], paid["event"], paid["after"]) == (
        *("running", "noop", "waiting", "invoice.paid"),
        ["ask"],
    )


def test_it_is_cancelled_and_what_has_ended_is_not(call: Call) -> None:
    path, key = f"/api/batches/{make('none', 'none')}", make_key("manage")

    done = call("POST", f"{path}/cancel", key).json or {}
    assert (done["state"], done["cancelled"]) == ("cancelled", 2)
    assert call("POST", f"{path}/cancel", key).status_code == 409
    assert call("POST", f"{path}/retry", key).status_code == 409
    assert audit.entries(limit=1)[0].actor.startswith("API key test")


def test_its_dead_are_retried(call: Call) -> None:
    path, key = f"/api/batches/{make('permanent', 'none')}", make_key()
    drain()
    assert (call("GET", path, key).json or {})["state"] == "failed"

    assert (call("POST", f"{path}/retry", key).json or {})["state"] == "running"


def test_why_a_unique_one_is_not_retried(call: Call) -> None:
    rule = Unique(fields=("action",))
    with batch("invoices") as made:
        made.enqueue(sample.s(Sample("permanent"), unique=rule))
    drain()
    holder = sample.enqueue(Sample("permanent"), unique=rule)

    answer = call("POST", f"/api/batches/{made.id}/retry", make_key())

    assert answer.status_code == 409
    assert f"job {holder} has its key by now" in (answer.json or {})["detail"]


def test_a_signal_completes_the_step_that_waits_and_one_for_nobody_is_404(call: Call) -> None:
    key, path = make_key("manage", "read"), f"/api/batches/{wait()}"
    paid = {"event": "invoice.paid", "data": {"invoice": 7}}

    other = call("POST", "/api/signals", key, json={**paid, "data": {"invoice": 8}})
    assert other.status_code == 404
    assert "no workflow waits for 'invoice.paid'" in (other.json or {})["detail"]
    assert call("POST", "/api/signals", key, json=paid).json == {"heard": 1}
    drain()
    assert (call("GET", path, key).json or {})["state"] == "completed"
    assert call("POST", "/api/signals", key, json=paid).status_code == 404


def test_a_key_of_an_organization_knows_its_own_alone(call: Call) -> None:
    own, others = wait(organization_id=7), wait(organization_id=8)
    key = make_key(organization_id=7)

    listed = (call("GET", "/api/batches", key).json or {})["batches"]
    assert [one["batchId"] for one in listed] == [own]
    assert call("GET", "/api/batches?organizationId=8", key).status_code == 403
    assert call("GET", f"/api/batches/{others}", key).status_code == 404
    assert call("POST", f"/api/batches/{others}/cancel", key).status_code == 404
    paid = {"event": "invoice.paid", "data": {"invoice": 7}}
    assert call("POST", "/api/signals", key, json=paid).json == {"heard": 1}
    assert call("POST", "/api/signals", make_key(), json=paid).json == {"heard": 1}


@pytest.mark.parametrize(
    ("method", "path", "scopes", "status"),
    [
        ("GET", "/api/batches", ("enqueue",), 403),
        ("GET", "/api/batches", None, 401),
        ("GET", "/api/batches/00000000-0000-4000-8000-000000000000", ("manage",), 403),
        ("GET", "/api/batches/00000000-0000-4000-8000-000000000000", ("read",), 404),
        ("GET", "/api/batches/nothing", ("read",), 404),
        ("POST", "/api/batches/nothing/cancel", ("read",), 403),
        ("POST", "/api/batches/nothing/retry", ("manage",), 404),
        ("POST", "/api/signals", ("read",), 403),
        ("GET", "/api/batches?after=x", ("read",), 422),
        ("GET", "/api/batches?state=open", ("read",), 422),
        ("GET", "/api/batches?limit=0", ("read",), 422),
        ("GET", "/api/jobs?batchId=x", ("read",), 422),
    ],
)
def test_who_may_not_and_what_makes_no_sense_is_refused(
    call: Call, method: str, path: str, scopes: tuple[str, ...] | None, status: int
) -> None:
    key = None if scopes is None else make_key(*scopes)

    assert call(method, path, key).status_code == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event"),
        ({"event": ""}, "event"),
        ({"event": "a", "data": [1]}, "data"),
        ({"event": "a", "data": {"a": "x" * 9000}}, "data"),
        ({"event": "a", "to": 1}, "to"),
    ],
)
def test_a_signal_that_is_none_names_the_field(call: Call, body: Any, field: str) -> None:
    answer = call("POST", "/api/signals", make_key(), json=body)

    assert answer.status_code == 422
    assert list((answer.json or {})["errors"]) == [field]
