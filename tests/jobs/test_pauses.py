"""What is paused waits, costs no retry, and runs exactly once when the pause has ended."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import text

from app import jobs
from app.db import db
from app.jobs import (
    FlowControl,
    InvalidOption,
    Status,
    UnknownJobType,
    batch,
    chain,
    enqueue,
    enqueue_many,
    signature,
)
from app.jobs import testing as job_testing
from app.jobs.events import Event, Executing, Started, observe
from app.jobs.execute import executor
from app.jobs.message import Message
from app.jobs.operate import Filter, actions, audit, health, pauses, sweep
from app.jobs.outcome import Released
from app.jobs.publish.qstash import deduplication_id
from tests.support.metrics import Scrape
from tests.support.qstash import deliver, envelope
from tests.support.rows import row_of
from tests.support.sample_jobs import Effect

GOOD = {"action": "none"}
WHY: Any = {"reason": "Resend is down", "by": "ana"}

pytestmark = pytest.mark.usefixtures("published")


def effects(job_id: str) -> int:
    return db.session.query(Effect).filter_by(job_id=job_id).count()


def deliver_all(published: list[Message]) -> None:
    for message in list(published):
        job_testing.deliver(message.job_id, message_id=f"msg_{deduplication_id(message)}")


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("type", "sample", {}),
        ("queue", "mail", {"queue": "mail"}),
        ("key", "resend", {"flow_control": FlowControl(key="resend", rate=5)}),
        ("organization", "7", {"organization_id": 7}),
    ],
)
def test_what_is_enqueued_under_a_pause_waits_in_the_outbox_and_runs_after_it(
    published: list[Message], kind: str, name: str, options: dict[str, Any]
) -> None:
    jobs.pause(kind, name, **WHY)

    job_id = enqueue("sample", GOOD, **options)
    many = enqueue_many("sample", [GOOD] * 2, **options)
    other = enqueue("noop", GOOD)

    assert [message.job_id for message in published] == [other]
    row = row_of(job_id)
    assert (row.status, row.published_at, row.pause) == (Status.PENDING, None, f"{kind}:{name}")
    sweep(grace=0)
    assert len(published) == 1
    assert jobs.paused()[0].waiting == 3

    resumed = jobs.resume(kind, name, by="ben")

    assert (resumed.published, resumed.left) == (3, 0)
    assert [message.job_id for message in published] == [other, job_id, *many]
    deliver_all(published)
    assert [effects(one) for one in (job_id, *many)] == [1, 1, 1]
    assert jobs.paused() == []


def test_a_caller_s_transaction_is_obeyed(published: list[Message]) -> None:
    jobs.pause("type", "sample", **WHY)
    job_id = enqueue("sample", GOOD, session=db.session)
    many = enqueue_many("sample", [GOOD] * 2, session=db.session)
    db.session.commit()

    assert published == []
    assert {row_of(one).pause for one in (job_id, *many)} == {"type:sample"}


def test_a_delivery_under_a_pause_goes_back_and_costs_nothing(published: list[Message]) -> None:
    """The old message, delivered again at any time, brings nothing; the new one runs the job."""
    job_id = enqueue("sample", {"action": "fail"}, retries=1)
    job_testing.deliver(job_id)
    jobs.pause("type", "sample", **WHY)
    old = row_of(job_id).message_id

    for _ in range(2):
        answer = job_testing.deliver(job_id, retried=1, message_id=old)
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json["success"]
    row = row_of(job_id)
    assert (row.status, row.published_at, row.message_id) == (Status.PENDING, None, None)
    assert (row.retry_count, len(row.attempts), row.reschedules) == (0, 1, 1)
    assert row.dead_at is None

    jobs.resume("type", "sample", by="ana")
    assert len({deduplication_id(message) for message in published}) == 2
    answer = job_testing.deliver(job_id, retried=1, message_id=old)
    assert answer.json == {"success": True, "skipped": "handed over"}
    assert len(row_of(job_id).attempts) == 1
    job_testing.deliver(job_id)
    row = row_of(job_id)
    assert (row.status, row.dead_at, len(row.attempts)) == (Status.FAILED, None, 2)


@pytest.mark.parametrize("put_back", ["pause", "shutdown"])
def test_what_puts_a_job_back_is_no_wish_of_its_own(
    app: Flask, published: list[Message], monkeypatch: pytest.MonkeyPatch, put_back: str
) -> None:
    """So it does not count toward JOBS_MAX_RESCHEDULES, however often it happens."""
    monkeypatch.setitem(app.config, "JOBS_MAX_RESCHEDULES", 1)
    job_id = enqueue("sample", {"action": "always-later"})
    for number in range(3):
        if put_back == "pause":
            jobs.pause("type", "sample", **WHY)
            job_testing.deliver(job_id, message_id=f"msg_{number}")
            jobs.resume("type", "sample", by="ana")
        else:
            with monkeypatch.context() as patch:
                patch.setattr(executor, "_not_begun", lambda _: Released())
                job_testing.deliver(job_id, message_id=f"msg_{number}")

    job_testing.deliver(job_id, message_id="msg_once")
    assert (row_of(job_id).status, row_of(job_id).reschedules) == (Status.PENDING, 4)

    job_testing.deliver(job_id, message_id="msg_twice")
    assert row_of(job_id).dead_at is not None


def test_of_racing_deliveries_under_a_pause_one_puts_the_job_back(
    app: Flask, published: list[Message]
) -> None:
    job_id = enqueue("sample", GOOD)
    jobs.pause("type", "sample", **WHY)

    def post(_: int) -> int:
        with app.app_context():
            return job_testing.deliver(job_id, message_id="msg_old").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(post, range(8)))

    assert row_of(job_id).reschedules == 1
    assert set(statuses) <= {200, 503}
    jobs.resume("type", "sample", by="ana")
    assert len(published) == 2


def test_a_running_job_is_not_interrupted_and_what_it_puts_back_waits(
    app: Flask, published: list[Message]
) -> None:
    def meanwhile(event: Event) -> None:
        if isinstance(event, Started) and isinstance(event.step, Executing):
            jobs.pause("type", "sample", **WHY)

    observe(app, meanwhile)
    ran = []
    for action in ("none", "later", "legs"):
        job_id = enqueue("sample", {"action": action, "count": 2})
        job_testing.deliver(job_id)
        row = row_of(job_id)
        ran.append((row.status, row.attempts[0]["outcome"], row.pause))
        assert len(published) == 1
        jobs.resume("type", "sample", by="ana")
        published.clear()

    assert ran == [
        (Status.COMPLETED, "completed", None),
        (Status.PENDING, "rescheduled", "type:sample"),
        (Status.PENDING, "continued", "type:sample"),
    ]


def test_of_a_schedule_s_firings_one_waits(client: FlaskClient, published: list[Message]) -> None:
    jobs.pause("type", "sample", **WHY)
    body = envelope(GOOD)
    for number in range(3):
        answer = deliver(
            client, body, upstash_schedule_id="scd_1", upstash_message_id=f"msg_firing{number}"
        )
        assert answer.json == {"success": True, "skipped": "paused"}

    waiting = list(db.session.scalars(text("SELECT job_id FROM job_executions")))
    assert len(waiting) == 1
    jobs.resume("type", "sample", by="ana")
    assert [message.job_id for message in published] == waiting
    # Delivered again, a firing that was left out brings nothing.
    deliver(client, body, upstash_schedule_id="scd_1", upstash_message_id="msg_firing2")
    assert db.session.scalar(text("SELECT count(*) FROM job_executions")) == 1


def test_what_waits_for_a_pause_is_no_alarm_and_is_named(published: list[Message]) -> None:
    enqueue_many("sample", [GOOD] * 3)
    jobs.pause("type", "sample", reason="Resend is down.", by="ana")
    enqueue_many("sample", [GOOD] * 3)
    db.session.execute(
        text("UPDATE job_executions SET created_at = now() - interval '1 day' WHERE pause <> ''")
    )
    db.session.commit()

    found = health.check()

    assert (found.verdict, found.snapshot.overdue, found.snapshot.paused) == ("healthy", 0, 3)
    said = [reason.message for reason in found.reasons if reason.code == "paused"]
    assert said[0].startswith("type sample is paused by ana: Resend is down, since ")


def test_the_metrics_and_the_doctor_name_it(
    cli: FlaskCliRunner, scrape: Scrape, published: list[Message]
) -> None:
    jobs.pause("type", "sample", **WHY)
    enqueue_many("sample", [GOOD] * 2)

    found = scrape()
    assert found["jobs_queue_depth", "paused", "sample"] == 2
    assert found["jobs_queue_depth", "pending", "sample"] == 0
    since = jobs.paused()[0].pause.since.timestamp()
    assert found["jobs_paused_since_timestamp_seconds", "type", "sample"] == since
    said = cli.invoke(args=["jobs", "doctor", "--only", "pauses", "--only", "outbox"]).output
    assert "type sample is paused by ana: Resend is down" in said
    assert "no job waits to be published" in said


def test_a_pause_holds_what_is_in_the_outbox_by_then() -> None:
    job_id = enqueue("sample", GOOD)
    db.session.execute(text("UPDATE job_executions SET published_at = NULL, message_id = NULL"))
    db.session.commit()

    assert jobs.pause("type", "sample", **WHY).waiting == 1
    assert row_of(job_id).pause == "type:sample"


def test_a_job_waits_for_each_pause_that_holds_it(published: list[Message]) -> None:
    jobs.pause("organization", "7", **WHY)
    jobs.pause("type", "sample", **WHY)
    enqueue("sample", GOOD, organization_id=7)

    assert jobs.resume("organization", "7", by="ana").published == 0
    assert published == []
    assert jobs.resume("type", "sample", by="ana").published == 1


def test_a_job_that_is_moved_waits_for_its_new_queue_alone(published: list[Message]) -> None:
    jobs.pause("queue", "old", **WHY)
    jobs.pause("queue", "new", **WHY)
    job_id = enqueue("sample", GOOD, queue="old")

    actions.move(Filter(job_ids=(job_id,)), queue="new", by="ana")
    assert row_of(job_id).pause == "queue:new"
    actions.move(Filter(job_ids=(job_id,)), queue="other", by="ana")
    assert [message.job_id for message in published] == [job_id]


def test_a_batch_s_jobs_and_what_follows_it_wait_too(published: list[Message]) -> None:
    jobs.pause("type", "noop", **WHY)
    with batch("of two", then=signature("noop", GOOD)) as made:
        waiting = made.enqueue(signature("noop", GOOD))
        job_id = made.enqueue(signature("sample", GOOD))
    assert row_of(waiting).pause == "type:noop"
    assert [message.job_id for message in published] == [job_id]

    with db.engine.begin() as connection:  # as if the paused one were done by other means
        connection.execute(text("UPDATE job_executions SET status = 'completed' WHERE pause <> ''"))
    job_testing.deliver(job_id)
    sweep(grace=0)

    following = db.session.scalar(text("SELECT pause FROM job_executions WHERE slot IS NULL"))
    assert (following, len(published)) == ("type:noop", 1)


def test_a_step_s_job_has_the_pause_from_its_record_on(
    cli: FlaskCliRunner, published: list[Message]
) -> None:
    """Recorded by the database itself, before anybody could publish it."""
    jobs.pause("type", "noop", **WHY)
    made = chain(signature("sample", GOOD), signature("noop", GOOD))
    (first,) = [message.job_id for message in published]

    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE job_executions SET status = 'completed' WHERE job_id = :id"), {"id": first}
        )

    step = text("SELECT job_id FROM job_executions WHERE batch_id = :id AND job_type = 'noop'")
    second = row_of(db.session.scalars(step, {"id": made.id}).one())
    assert (second.pause, second.published_at) == ("type:noop", None)
    said = cli.invoke(args=["jobs", "doctor", "--only", "outbox"]).output
    assert "no job waits to be published" in said
    jobs.resume("type", "noop", by="ana")
    assert [message.job_id for message in published] == [first, second.job_id]


def test_a_long_pause_of_all_there_is_is_no_alarm(
    cli: FlaskCliRunner, published: list[Message]
) -> None:
    """Neither idle nor stuck nor unpublished, though nothing was processed for a day."""
    job_ids = enqueue_many("sample", [GOOD] * 3)
    jobs.pause("type", "sample", **WHY)
    for job_id in job_ids:
        job_testing.deliver(job_id)
    day = "created_at = created_at - interval '1 day', updated_at = updated_at - interval '1 day'"
    db.session.execute(text(f"UPDATE job_executions SET {day}"))  # noqa: S608 - our own text
    db.session.execute(text("UPDATE job_pauses SET paused_at = paused_at - interval '1 day'"))
    db.session.commit()

    found = health.check()
    report = sweep(grace=0)
    said = cli.invoke(args=["jobs", "doctor", "--only", "pauses", "--only", "outbox"]).output

    assert (found.verdict, [reason.code for reason in found.reasons]) == ("healthy", ["paused"])
    assert report.published == 0
    assert "type sample is paused by ana: Resend is down" in said
    assert "no job waits to be published" in said


def test_a_dead_letter_that_is_redriven_under_a_pause_runs_after_it(
    published: list[Message],
) -> None:
    job_id = enqueue("sample", {"action": "permanent"})
    job_testing.deliver(job_id)
    assert row_of(job_id).dead_at is not None
    jobs.pause("type", "sample", **WHY)

    job_testing.deliver(job_id, message_id="msg_redriven")

    row = row_of(job_id)
    assert (row.status, row.dead_at, row.pause) == (Status.PENDING, None, "type:sample")
    jobs.resume("type", "sample", by="ana")
    assert len(published) == 2


def test_pausing_again_replaces_the_reason_and_both_are_in_the_audit() -> None:
    jobs.pause("type", "sample", **WHY)
    jobs.pause("type", "sample", reason="their status page says so", by="ben")
    jobs.resume("type", "sample", by="ben")

    assert [(one.action, one.actor) for one in audit.entries(limit=5)] == [
        ("resume", "ben"),
        ("pause", "ben"),
        ("pause", "ana"),
    ]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (("typ", "sample"), InvalidOption, "kind: 'typ' cannot be paused; give one of type"),
        (("type", "sampel"), UnknownJobType, "did you mean: sample?"),
        (("queue", "a b"), InvalidOption, "queue: 'a b' is not"),
        (("key", ""), InvalidOption, "key '' is not"),
        (("organization", "x"), InvalidOption, "organization: 'x' is not a valid integer"),
    ],
)
def test_what_cannot_be_paused_is_refused(
    given: tuple[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        jobs.pause(*given, **WHY)
    with pytest.raises(InvalidOption, match="reason: empty; say why"):
        jobs.pause("type", "sample", reason=" ", by="ana")
    with pytest.raises(InvalidOption, match="type 'sample' is not paused"):
        jobs.resume("type", "sample", by="ana")
    assert pauses.paused() == []
    assert audit.entries(limit=1) == []
