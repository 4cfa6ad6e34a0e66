"""What wraps handlers: in order, with the job at hand, and without losing anything."""

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash

from app.db import db
from app.jobs import (
    Continue,
    DiscoveryError,
    Job,
    JobBlueprint,
    Jobs,
    Middleware,
    Proceed,
    RetryLater,
    enqueue,
    get_job_execution_by_job_id,
)
from app.jobs.testing import perform, wait_for
from tests.support.qstash import deliver, envelope
from tests.support.sample_jobs import Sample, SampleSchema

Result = dict[str, Any] | None
Declare = Callable[..., None]
#: What the tests' middleware and handlers did, in order.
seen: list[str] = []
tenant: ContextVar[object] = ContextVar("tenant", default=None)


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    yield
    seen.clear()


@pytest.fixture
def wrapped(app: Flask) -> Declare:
    """Register a job type whose handler is wrapped."""

    def declare(handler: Any, middleware: Sequence[Middleware], **options: Any) -> None:
        bp = JobBlueprint("wrapped", __name__)
        bp.job("wrapped", "/wrapped", payload=SampleSchema, middleware=middleware, **options)(
            handler
        )
        app.register_blueprint(bp)

    return declare


def named(name: str) -> Middleware:
    def wrap(payload: Sample, job: Job, proceed: Proceed) -> Result:
        seen.append(f"{name} before {payload.action} of {job.type}")
        result = proceed()
        seen.append(f"{name} after {result}")
        return result

    return wrap


def handler(payload: Sample, job: Job) -> Result:
    seen.append("handler")
    return {"n": 1}


def delivered(client: FlaskClient, action: str = "none") -> tuple[Any, Any]:
    """Deliver a job, and return the answer's JSON and the job's row."""
    sent = envelope({"action": action}, "wrapped", metadata={"organizationId": 3})
    answer = deliver(client, sent, "/api/jobs/wrapped").json
    db.session.rollback()
    return answer, get_job_execution_by_job_id(sent["jobId"])


def test_the_app_s_come_before_the_type_s_each_in_order(
    app: Flask, client: FlaskClient, wrapped: Declare
) -> None:
    app.extensions["jobs"] = replace(app.extensions["jobs"], middleware=(named("app"),))
    wrapped(handler, [named("outer"), named("inner")])

    answer, row = delivered(client)

    names = ("app", "outer", "inner")
    before = [f"{name} before none of wrapped" for name in names]
    assert seen == [*before, "handler", *(f"{name} after {{'n': 1}}" for name in names[::-1])]
    assert (answer["result"], row.status) == ({"n": 1}, "completed")


def test_the_app_s_are_given_to_the_extension(app: Flask) -> None:
    made = Flask("other")
    made.config.update({name: value for name, value in app.config.items() if name.isupper()})
    db.init_app(made)
    Jobs(made, db, middleware=[named("app")])
    bp = JobBlueprint("wrapped", __name__)
    bp.job("wrapped", "/wrapped", payload=SampleSchema)(handler)
    made.register_blueprint(bp)

    with made.app_context():
        assert perform("wrapped", {"action": "none"}) == {"n": 1}
        db.engine.dispose()
    assert len(seen) == 3


def test_an_async_handler_sees_what_is_set_around_it(client: FlaskClient, wrapped: Declare) -> None:
    def tenancy(payload: Sample, job: Job, proceed: Proceed) -> Result:
        token = tenant.set(job.organization_id)
        try:
            return proceed()
        finally:
            tenant.reset(token)

    async def asking(payload: Sample, job: Job) -> Result:
        return {"tenant": tenant.get()}

    wrapped(asking, [tenancy])

    assert delivered(client)[0]["result"] == {"tenant": 3}
    assert tenant.get() is None


def skips(payload: Sample, job: Job, proceed: Proceed) -> Result:
    return {"skipped": "flag is off"}


def test_it_wraps_what_a_real_qstash_delivers(wrapped: Declare, live_qstash: QStash) -> None:
    """At each try, in the thread and the context of the request that brings it."""
    wrapped(fails_once, [named("outer"), named("inner")], retries=1)

    job_id = enqueue("wrapped", {"action": "none"})

    assert wait_for(job_id, timeout=30).result == {"attempt": 2}
    tried = ["outer before none of wrapped", "inner before none of wrapped"]
    done = ["inner after {'attempt': 2}", "outer after {'attempt': 2}"]
    assert seen == [*tried, *tried, *done]


def fails_once(payload: Sample, job: Job) -> Result:
    if job.attempt == 1:
        raise ConnectionError("not yet")
    return {"attempt": job.attempt}


def test_one_may_leave_the_job_undone_and_say_so(client: FlaskClient, wrapped: Declare) -> None:
    wrapped(handler, [skips])

    answer, row = delivered(client)

    assert (answer["result"], row.status, seen) == ({"skipped": "flag is off"}, "completed", [])


def test_one_may_make_an_error_a_wait(client: FlaskClient, wrapped: Declare) -> None:
    def patient(payload: Sample, job: Job, proceed: Proceed) -> Result:
        try:
            return proceed()
        except ConnectionError as error:
            raise RetryLater("1h") from error

    def away(payload: Sample, job: Job) -> Result:
        raise ConnectionError("away")

    wrapped(away, [patient])

    assert delivered(client)[1].status == "pending"


def swallows(payload: Sample, job: Job, proceed: Proceed) -> Result:
    try:
        return proceed()
    except Exception:  # noqa: BLE001 - the mistake that is tested
        return None


def goes_on(payload: Sample, job: Job) -> Result:
    if job.leg == 1:
        raise Continue({"half": True})
    return None


def test_what_a_handler_asks_for_is_not_swallowed(client: FlaskClient, wrapped: Declare) -> None:
    wrapped(goes_on, [swallows])

    row = delivered(client)[1]

    assert (row.status, row.legs) == ("pending", 1)


def loses(payload: Sample, job: Job, proceed: Proceed) -> Result:
    proceed()
    return None


def forgets(payload: Sample, job: Job, proceed: Proceed) -> Result:
    return None


def repeats(payload: Sample, job: Job, proceed: Proceed) -> Result:
    proceed()
    return proceed()


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        (loses, "the middleware loses lost the result: let it end with `return proceed()`"),
        (forgets, "the middleware forgets returned None without proceed()"),
        (repeats, "proceed() was called twice: a handler runs once for an attempt"),
    ],
)
def test_a_mistake_fails_the_attempt_and_is_named(
    client: FlaskClient, wrapped: Declare, middleware: Middleware, said: str
) -> None:
    wrapped(handler, [middleware])

    row = delivered(client)[1]

    assert row.status == "failed"
    assert said in row.error


def test_what_is_run_by_hand_is_wrapped_too(cli: FlaskCliRunner, wrapped: Declare) -> None:
    wrapped(handler, [named("outer")])

    assert cli.invoke(args=["jobs", "run", "wrapped", '{"action": "none"}']).exit_code == 0
    perform("wrapped", {"action": "none"})

    assert seen.count("outer before none of wrapped") == 2


def old(job: Job) -> None: ...
async def is_async(payload: Any, job: Job, proceed: Proceed) -> None: ...
def is_generator(payload: Any, job: Job, proceed: Proceed) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (forgets, "is not a list of functions; write [forgets]"),
        ("tenancy", "is not a list of functions"),
        ([3], "3 is not a function; write `def tenancy(payload, job, proceed)`"),
        ([old], "is called with the payload, the job and `proceed`; write"),
        ([is_async], "is_async must be a plain function"),
        ([is_generator], "is_generator must be a plain function"),
    ],
)
def test_what_cannot_wrap_is_refused_at_its_declaration(
    app: Flask, wrapped: Declare, given: Any, said: str
) -> None:
    with pytest.raises(DiscoveryError) as of_type:
        wrapped(handler, given)
    with pytest.raises(DiscoveryError) as of_app:
        Jobs(Flask("other"), middleware=given)

    assert "middleware: " in str(of_type.value)
    assert said in str(of_type.value)
    assert said in str(of_app.value)
