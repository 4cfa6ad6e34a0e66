"""What users' tests get from `app.jobs.testing`."""

import httpx
import pytest
from flask import Flask, request
from sqlalchemy import select, text

from app.db import db
from app.jobs import (
    Continue,
    InvalidPayload,
    PublishRefused,
    PublishUnavailable,
    RetryLater,
    Status,
    UnknownJobType,
    enqueue,
    enqueue_many,
    schedule,
)
from app.jobs.message import Message
from app.jobs.operate import actions
from app.jobs.publish import outbox
from app.jobs.recover import sweep
from app.jobs.recover.report import SweepReport
from app.jobs.table.filters import Filter
from app.jobs.testing import (
    WAYS,
    FailingQStash,
    assert_enqueued,
    deliver,
    drain,
    make_job,
    perform,
    refute_enqueued,
    wait_for,
    wire,
)
from app.local_qstash.testing import LocalQStash
from tests.support.rows import Rows
from tests.support.sample_jobs import Effect, Sample
from tests.support.sealed_jobs import bp as sealed_bp

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
GOOD = {"action": "none", "count": 3}


def said(error: pytest.ExceptionInfo[AssertionError]) -> str:
    return str(error.value)


def test_a_part_of_the_payload_and_columns_are_enough(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD, user_id=7, delay=60)

    row = assert_enqueued("sample", {"count": 3}, user_id=7, options={"delay": 60})

    assert row.job_id == job_id
    assert assert_enqueued("sample", Sample("none", 3), status=Status.PENDING).job_id == job_id


def test_a_failure_says_how_those_of_the_type_differ(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD, user_id=7)

    with pytest.raises(AssertionError) as error:
        assert_enqueued("sample", {"count": 4, "actoin": "none"}, user_id=8)

    assert "no 'sample' job with payload={'count': 4, 'actoin': 'none'}, user_id=8" in said(error)
    assert (
        f"{job_id}: payload.count is 3; "
        "payload has no 'actoin'; did you mean: action?; user_id is 7"
    ) in said(error)


def test_what_is_not_committed_is_not_enqueued(published: list[Message]) -> None:
    enqueue("noop", GOOD)
    enqueue("sample", GOOD, session=db.session)

    with pytest.raises(AssertionError, match=r"Recorded are: 1 noop\..* must have committed"):
        assert_enqueued("sample")

    db.session.commit()
    assert_enqueued("sample")


def test_sealed_fields_are_compared_in_clear(app: Flask, published: list[Message]) -> None:
    app.register_blueprint(sealed_bp)
    enqueue("send-letter", {"to": "x", "link": "https://a.example/secret"})

    assert_enqueued("send-letter", {"link": "https://a.example/secret"})


def test_refute_says_which_there_is(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD)

    refute_enqueued("sample", {"count": 4})
    with pytest.raises(AssertionError, match=f"was enqueued: sample job {job_id} is pending"):
        refute_enqueued("sample", {"count": 3})


def test_a_slip_is_told_from_an_absence(app: Flask) -> None:
    with pytest.raises(UnknownJobType, match="did you mean: sample"):
        refute_enqueued("smaple")
    with pytest.raises(TypeError, match="no column 'usr_id'; did you mean: user_id"):
        refute_enqueued("sample", usr_id=7)


def test_it_is_a_real_delivery(published: list[Message]) -> None:
    job_id = enqueue("sample", {"action": "echo"}, user_id=7, delay=3600)

    answer = deliver(job_id)

    assert answer.json is not None
    assert answer.json["result"]["userId"] == 7
    assert wait_for(job_id).attempts[0]["message_id"] == f"msg_{job_id}-0-0-0"


def test_its_signature_is_checked(
    published: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = enqueue("sample", GOOD)
    monkeypatch.setattr(wire, "sign", lambda *_: "forged")

    assert deliver(job_id).status_code == 401


def test_retries_are_counted_as_qstash_does(published: list[Message]) -> None:
    job_id = enqueue("sample", {"action": "fail"}, retries=1)

    answers = [deliver(job_id) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [500, 500, 200]
    assert answers[2].json == {"success": True, "skipped": "dead"}
    assert deliver(job_id, message_id="msg_redriven", retried=0).status_code == 500


def test_the_session_of_the_test_sees_what_the_handler_did(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD)

    deliver(job_id)

    assert db.session.scalars(select(Effect.job_id)).all() == [job_id]


def test_headers_of_the_job_are_sent(app: Flask, published: list[Message]) -> None:
    seen = []
    app.before_request(lambda: seen.append(request.headers.get("X-Tenant")))

    deliver(enqueue("noop", GOOD, headers={"X-Tenant": "acme"}))

    assert seen == ["acme"]


def test_work_that_a_delivery_would_not_see_is_refused(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD)
    db.session.add(Effect(job_id="x", note="y"))

    with pytest.raises(AssertionError, match=r"call db\.session\.commit\(\) first"):
        deliver(job_id)


def test_a_job_that_is_not_there_is_said(app: Flask) -> None:
    with pytest.raises(AssertionError, match="commit that session first"):
        deliver("00000000-0000-0000-0000-000000000000")


def test_everything_is_delivered_with_what_comes_of_it(published: list[Message]) -> None:
    enqueue("sample", {"action": "parent"})
    enqueue("sample", {"action": "fail-twice"})

    done = drain()

    assert [(one.job_type, one.answer.status_code) for one in done] == [
        ("sample", 200),
        ("sample", 500),
        ("sample", 500),
        ("noop", 200),
        ("sample", 200),
    ]
    assert [one.retried for one in done] == [0, 0, 1, 0, 2]
    assert drain() == []


def test_without_qstash_what_waits_is_delivered_all_the_same(app: Flask) -> None:
    job_id = enqueue("sample", {"action": "later"})

    assert [one.answer.status_code for one in drain()] == [500, 200]  # see `outcome.unpublished`
    assert wait_for(job_id).reschedules == 1


def test_what_qstash_gives_up_is_dead(app: Flask, published: list[Message]) -> None:
    """Nobody can serve it now: a newer payload is answered 503 over and over."""
    job_id = enqueue("sample", GOOD)
    db.session.execute(text("UPDATE job_executions SET payload = payload || '{\"version\": 9}'"))
    db.session.commit()

    assert [one.answer.status_code for one in drain()] == [503] * 4
    row = wait_for(job_id, "failed")
    assert row.dead_at is not None
    assert (row.error or "").startswith("QStash gave up after 4 attempts: the last was")


@pytest.mark.parametrize("fixture", ["published", "failing_qstash"])
def test_what_was_there_before_the_fixture_began_is_left_alone(
    app: Flask, request: pytest.FixtureRequest, fixture: str
) -> None:
    before = enqueue("sample", {"action": "none", "count": 1}, delay="1h")

    request.getfixturevalue(fixture)
    refute_enqueued("sample")
    own = enqueue("sample", {"action": "none", "count": 2})

    assert [one.job_id for one in drain()] == [own]
    assert assert_enqueued("sample").job_id == own
    with pytest.raises(AssertionError, match=r"payload\.count is 2") as error:
        assert_enqueued("sample", {"count": 1})
    assert before not in said(error)
    assert wait_for(before, "pending").attempts == []
    assert deliver(before).status_code == 200


def test_a_job_without_end_is_said(published: list[Message]) -> None:
    enqueue("sample", {"action": "always-later"})

    with pytest.raises(AssertionError, match=r"work left after 5 deliveries.*enqueue itself"):
        drain(limit=5)


def test_a_job_is_awaited_that_others_run(app: Flask, rows: Rows, live_qstash: object) -> None:
    job_id = enqueue("sample", {"action": "fail-twice"})

    assert wait_for(job_id, "completed", timeout=20).retry_count == 2


def test_in_vain_says_how_the_job_stands(published: list[Message]) -> None:
    job_id = enqueue("sample", {"action": "fail"})
    deliver(job_id)

    with pytest.raises(AssertionError, match=r"'completed': .* is failed: ValueError"):
        wait_for(job_id, timeout=0.01)


def test_nothing_follows_on_completed(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD)
    deliver(job_id)

    with pytest.raises(AssertionError, match="waited in vain for 'failed'"):
        wait_for(job_id, Status.FAILED, timeout=3600)


def test_what_is_published_can_be_read(published: list[Message]) -> None:
    one = enqueue("sample", GOOD)
    many = enqueue_many("noop", [GOOD, GOOD])

    assert [message.job_id for message in published] == [one, *many]
    assert assert_enqueued("sample").published_at is not None


def test_a_schedule_is_taken(published: list[Message]) -> None:
    assert schedule("sample", "0 9 * * *", GOOD, schedule_id="daily") == "daily"


def test_a_job_may_be_cancelled_and_jobs_be_swept(published: list[Message]) -> None:
    job_id = enqueue("sample", GOOD)

    actions.cancel(Filter(job_ids=(job_id,)), by="test")

    assert sweep.sweep() == SweepReport()
    assert drain() == []


def test_a_question_names_the_fixture_that_answers(published: list[Message]) -> None:
    with pytest.raises(PublishUnavailable, match="with `local_qstash` a real server answers"):
        outbox.publisher().call(lambda qstash: qstash.schedule.list())


def publish(server: LocalQStash) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.post(f"{server.url}/v2/publish/{NOWHERE}", headers=headers)


def test_local_qstash_is_a_running_server(local_qstash: LocalQStash) -> None:
    assert publish(local_qstash).json()["messageId"].startswith("msg_")


@pytest.mark.parametrize(
    "local_qstash", [{"faults": ["publish-fail=1:503"], "seed": 7}], indirect=True
)
def test_local_qstash_takes_the_options_of_the_server(local_qstash: LocalQStash) -> None:
    assert publish(local_qstash).status_code == 503
    assert local_qstash.faults.seed == 7


each_way = pytest.mark.parametrize("failing_qstash", WAYS, indirect=True)


@each_way
def test_each_way_to_fail_ends_as_it_does_in_production(
    failing_qstash: FailingQStash, rows: Rows
) -> None:
    if failing_qstash.way == "refused":
        with pytest.raises(PublishRefused, match="this QStash refuses every message"):
            enqueue("sample", GOOD)
        return

    job_id = enqueue("sample", GOOD)

    assert failing_qstash.requests
    assert (rows[job_id].status, rows[job_id].published_at) == ("pending", None)
    assert sweep.sweep(grace=0).problem


@each_way
def test_many_jobs_and_schedules_fail_alike(failing_qstash: FailingQStash, rows: Rows) -> None:
    refused = failing_qstash.way == "refused"

    first, second = enqueue_many("sample", [GOOD, GOOD])
    with pytest.raises(PublishRefused if refused else PublishUnavailable):
        schedule("sample", "* * * * *", GOOD)

    assert rows[first].status == rows[second].status == ("failed" if refused else "pending")


@each_way
def test_after_the_trouble_the_sweep_publishes(failing_qstash: FailingQStash, rows: Rows) -> None:
    if failing_qstash.way == "refused":
        failing_qstash.way = "away"
    ids = [enqueue("sample", GOOD), *enqueue_many("sample", [GOOD, GOOD])]

    assert sweep.sweep(grace=0).published == 0
    failing_qstash.recover()

    assert sweep.sweep(grace=0).published == 3
    assert all(rows[job_id].published_at for job_id in ids)
    assert deliver(ids[0]).json == {"success": True, "jobId": ids[0], "result": None}


def test_a_job_of_ones_own_is_that_of_a_first_attempt(app: Flask) -> None:
    job = make_job()

    assert (job.type, job.attempt, job.generation, job.leg, job.state) == ("test", 1, 0, 1, None)
    assert 59 < job.deadline <= 60
    job.progress(1, 2)
    job.check()
    assert make_job().id != job.id


def test_a_job_of_ones_own_says_what_it_is_told() -> None:
    job = make_job("sample", seconds=0, id="x", attempt=2, user_id=7, state={"done": 1})

    assert (job.type, job.id, job.attempt, job.user_id, job.deadline) == ("sample", "x", 2, 7, 0.0)
    with pytest.raises(TypeError, match="atempt"):
        make_job(atempt=2)


@pytest.mark.parametrize("payload", [GOOD | {"action": "echo"}, Sample("echo")])
def test_a_handler_is_performed_with_its_schema_and_no_queue(
    published: list[Message], payload: object
) -> None:
    result = perform("sample", payload, user_id=7, attempt=3, id="j", generation=1)

    assert result == {"attempt": 3, "key": "j/1", "userId": 7}
    assert published == []
    db.session.rollback()
    assert db.session.scalars(select(Effect)).all() == []


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"action": 5}, InvalidPayload),
        ({"action": "echo", "actoin": 1}, InvalidPayload),
        ([], InvalidPayload),
        (None, InvalidPayload),
        ({"action": "later"}, RetryLater),
        ({"action": "legs", "count": 2}, Continue),
        ({"action": "fail"}, ValueError),
    ],
)
def test_what_is_raised_in_it_comes_through(
    app: Flask, payload: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        perform("sample", payload)
    db.session.rollback()


def test_what_is_no_job_type_is_not_performed(app: Flask) -> None:
    with pytest.raises(UnknownJobType, match="did you mean: sample"):
        perform("smaple", {})
