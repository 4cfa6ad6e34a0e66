"""One job is enough of those with the same key: what an enqueue comes to, what frees the key."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from app.db import db
from app.jobs import (
    IllegalTransition,
    InvalidOption,
    InvalidPayload,
    JobExecution,
    NotUnique,
    Unique,
    batch,
    enqueue,
    enqueue_many,
    pause,
    resume,
    update_job_execution,
    workflow,
)
from app.jobs.operate import Filter, actions, health, sweep
from app.jobs.table.load import loads
from app.jobs.testing import deliver, drain, wire
from tests.support.apps import PRODUCTION
from tests.support.metrics import Scrape
from tests.support.rows import Rows, change_row, count_rows
from tests.support.sample_jobs import Sample, sample
from tests.support.unique_jobs import bp, opened

pytestmark = pytest.mark.usefixtures("published")

SAME = {"action": "none", "count": 1}
OTHER = {"action": "none", "count": 2}
ONE = Unique(fields=("action",))
NEWEST = Unique(fields=("action",), on_conflict="replace")
ONCE_MORE = Unique(fields=("action",), once_more=True)
LATER: Any = {"delay": "1h"}


@pytest.fixture
def declared(app: Flask) -> None:
    app.config["JOBS_ENCRYPTION_KEYS"] = PRODUCTION["JOBS_ENCRYPTION_KEYS"]
    app.register_blueprint(bp)


def begin(job_id: str) -> None:
    """Have a job run, as far as others see."""
    running = {"status": "processing", "lease_token": func.gen_random_uuid()}
    until = {"lease_expires_at": func.now() + timedelta(minutes=1), "started_at": func.now()}
    change_row(job_id, **running, **until)


def jobs() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution.job_id).order_by(JobExecution.id)))


def test_while_one_waits_another_is_not_recorded(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=ONE)
    again = enqueue("sample", OTHER, unique=ONE)

    assert (first.enqueued_as, first.existed) == ("new", False)
    assert (again, again.enqueued_as, again.existed) == (first, "existing", True)
    assert jobs() == [first]
    assert rows[first].payload["payload"] == SAME


def test_other_values_types_and_organizations_are_other_jobs(rows: Rows) -> None:
    enqueue("sample", SAME, unique=ONE)

    for made in (
        enqueue("sample", {"action": "check"}, unique=ONE),
        enqueue("noop", SAME, unique=ONE),
        enqueue("sample", SAME, unique=ONE, organization_id=1),
        enqueue("sample", SAME, unique=ONE, organization_id=2),
        enqueue("sample", SAME),
        enqueue("sample", SAME, unique=False),
    ):
        assert made.enqueued_as == "new"
    assert enqueue("sample", SAME, unique=ONE, organization_id=2).existed


def test_without_fields_the_payload_tells_jobs_apart_and_with_none_nothing_does(rows: Rows) -> None:
    enqueue("sample", SAME, unique=Unique())
    assert enqueue("sample", OTHER, unique=Unique()).enqueued_as == "new"
    assert enqueue("sample", Sample("none", 2), unique=Unique()).existed

    enqueue("noop", SAME, unique=Unique(fields=()))
    assert enqueue("noop", OTHER, unique=Unique(fields=[])).existed


@pytest.mark.usefixtures("declared")
def test_a_type_declares_it_for_its_jobs() -> None:
    first = enqueue("one", SAME)

    assert enqueue("one", OTHER) == first
    assert enqueue("one", OTHER, unique=False).enqueued_as == "new"


def delete_all() -> None:
    db.session.execute(text("DELETE FROM job_executions"))
    db.session.commit()


def expire(job_id: str) -> None:
    change_row(job_id, options={"expires": "2020-01-01T00:00:00+00:00"})
    deliver(job_id)


ENDS: dict[str, Callable[[str], object]] = {
    "completed": deliver,
    "dead": lambda job_id: change_row(job_id, status="failed", dead_at=func.now()),
    "cancelled": lambda job_id: actions.cancel(Filter(job_ids=(job_id,)), by="test"),
    "expired": expire,
    "deleted": lambda job_id: (
        actions.cancel(Filter(job_ids=(job_id,)), by="test"),
        actions.delete(Filter(job_ids=(job_id,)), by="test"),
    ),
    "gone past us": lambda _: delete_all(),
    "period over": lambda job_id: change_row(
        job_id, unique_until=func.now() - timedelta(seconds=1)
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("rule", [ONE, NEWEST, ONCE_MORE], ids=["one", "newest", "once more"])
def test_whatever_ends_a_job_frees_its_key(rows: Rows, rule: Unique, end: str) -> None:
    first = enqueue("sample", SAME, unique=rule)
    ENDS[end](first)

    again = enqueue("sample", SAME, unique=rule)

    assert (again.enqueued_as, again != first) == ("new", True)
    assert enqueue("sample", SAME, unique=rule).existed


@pytest.mark.parametrize("action", ["fail", "later", "legs", "hiccup"])
def test_a_job_that_goes_on_keeps_its_key(rows: Rows, action: str) -> None:
    first = enqueue("sample", {"action": action, "count": 2}, unique=ONE)
    deliver(first)

    assert not rows[first].is_final
    assert enqueue("sample", {"action": action}, unique=ONE) == first


def test_a_lease_that_runs_out_and_a_pause_keep_the_key(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=ONE)
    begin(first)
    change_row(first, lease_expires_at=func.now() - timedelta(hours=1))
    sweep()
    assert rows[first].status == "pending"
    pause("type", "sample", reason="to see", by="test")
    deliver(first)

    assert rows[first].pause == "type:sample"
    assert enqueue("sample", SAME, unique=ONE) == first
    resume("type", "sample", by="test")
    assert enqueue("sample", SAME, unique=ONE) == first


def test_a_period_that_is_over_frees_the_key_of_one_that_runs(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=Unique(fields=("action",), period="10m"))
    begin(first)
    assert enqueue("sample", SAME, unique=ONE) == first
    change_row(first, unique_until=func.now() - timedelta(seconds=1))

    made = [enqueue("sample", SAME, unique=ONE, session=db.session) for _ in range(2)]
    db.session.commit()

    assert (made[0] != first, made[1] == made[0]) == (True, True)
    assert rows[first].unique_key is None


def test_while_pending_a_job_that_begins_is_free_for_good(rows: Rows) -> None:
    rule = Unique(fields=("action",), while_=("pending",))
    first = enqueue("sample", {"action": "fail"}, unique=rule)
    deliver(first)

    second = enqueue("sample", {"action": "fail"}, unique=rule)
    deliver(first)  # its retry, which is in nobody's way

    assert second.enqueued_as == "new"
    assert rows[first].attempts[-1]["number"] == 2
    assert enqueue("sample", {"action": "fail"}, unique=rule) == second


def test_while_completed_it_keeps_others_out_for_its_period(rows: Rows) -> None:
    rule = Unique(fields=("action",), period="1h", while_=("pending", "processing", "completed"))
    first = enqueue("sample", SAME, unique=rule)
    deliver(first)

    assert enqueue("sample", SAME, unique=rule) == first
    change_row(first, unique_until=func.now() - timedelta(seconds=1))
    assert enqueue("sample", SAME, unique=rule).enqueued_as == "new"


def test_raise_names_the_job_and_records_nothing(rows: Rows) -> None:
    rule = Unique(fields=("action",), on_conflict="raise")
    first = enqueue("sample", SAME, unique=rule)

    with pytest.raises(NotUnique) as raised:
        enqueue("sample", SAME, unique=rule)
    with pytest.raises(NotUnique):
        enqueue_many("sample", [{"action": "check"}, SAME], unique=rule)

    assert raised.value.job_id == first
    assert str(raised.value) == (
        f"sample is unique, and job {first} has the same action: wait for that one, or cancel it"
    )
    assert jobs() == [first]


def test_replace_gives_the_one_that_waits_other_work(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=NEWEST, user_id=1, **LATER)
    again = enqueue("sample", OTHER, unique=NEWEST, user_id=2, retries=7, **LATER)

    assert (again, again.enqueued_as, again.existed) == (first, "replaced", True)
    row = rows[first]
    assert row.payload["payload"] == OTHER
    assert (row.payload["jobId"], row.user_id, row.max_retries) == (first, 2, 7)
    assert jobs() == [first]


def test_replace_never_touches_one_that_has_begun(rows: Rows) -> None:
    for action in ("fail", "later"):
        payload = {"action": action, "count": 1}
        first = enqueue("sample", payload, unique=NEWEST)
        deliver(first)

        again = enqueue("sample", {"action": action, "count": 2}, unique=NEWEST)

        assert (again, again.enqueued_as) == (first, "existing")
        assert rows[first].payload["payload"] == payload


def test_a_message_from_before_runs_nothing_and_costs_no_retry(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=NEWEST)
    old = wire.delivery(rows[first], message_id=rows[first].message_id)
    enqueue("sample", OTHER, unique=NEWEST)

    answers = [wire.post(wire.this_app(), old).json for _ in range(2)]

    assert [answer and answer.get("skipped") for answer in answers] == ["replaced", "replaced"]
    row = rows[first]
    assert (row.status, row.retry_count, row.attempts) == ("pending", 0, [])
    assert (row.published_at is not None, row.reschedules) == (True, 1)  # by another message
    deliver(first)
    assert (rows[first].status, rows[first].payload["payload"]) == ("completed", OTHER)


def test_where_its_message_would_be_late_another_is_published(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=NEWEST, **LATER)
    old = wire.delivery(rows[first], message_id=rows[first].message_id)

    enqueue("sample", OTHER, unique=NEWEST)

    row = rows[first]
    assert (row.available_at, row.reschedules) == (None, 1)
    assert row.message_id != old.headers["Upstash-Message-Id"]
    answer = wire.post(wire.this_app(), old).json
    assert answer == {"success": True, "skipped": "replaced"}
    assert rows[first].reschedules == 1
    deliver(first)
    assert rows[first].status == "completed"


DEBOUNCED = Unique(fields=("action",), debounce="30s", at_most="5m")


def test_debounce_puts_it_off_and_the_last_call_wins(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=DEBOUNCED)
    before = rows[first].available_at
    again = enqueue("sample", OTHER, unique=DEBOUNCED)

    row = rows[first]
    assert (again, again.enqueued_as) == (first, "replaced")
    assert row.payload["payload"] == OTHER
    assert before is not None
    assert row.available_at is not None
    assert before <= row.available_at
    assert row.available_at - row.created_at <= timedelta(seconds=40)


def test_debounce_is_bounded(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=DEBOUNCED)
    change_row(first, created_at=func.now() - timedelta(minutes=4, seconds=50))
    enqueue("sample", OTHER, unique=DEBOUNCED)

    row = rows[first]
    assert row.available_at is not None
    assert row.available_at - row.created_at == timedelta(minutes=5)


def test_a_call_while_the_debounced_one_runs_is_another_job(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=DEBOUNCED)
    begin(first)

    assert enqueue("sample", OTHER, unique=DEBOUNCED).enqueued_as == "new"


def test_once_more_after_the_one_that_runs(rows: Rows) -> None:
    first = enqueue("sample", {"action": "fail"}, unique=ONCE_MORE)
    deliver(first)
    made = [enqueue("sample", {"action": "fail"}, unique=ONCE_MORE) for _ in range(3)]

    assert [one.enqueued_as for one in made] == ["follow-up", "existing", "existing"]
    assert jobs() == [first, made[0]]
    assert (rows[made[0]].pause, rows[made[0]].published_at) == (f"follows:{first}", None)
    for retried in (1, 2, 3):
        assert rows[made[0]].published_at is None
        deliver(first, retried=retried)

    row = rows[made[0]]
    assert rows[first].dead_at
    assert (row.pause, row.published_at is not None) == (None, True)
    assert row.uniqueness is not None
    assert row.uniqueness["followed"] == first


def test_a_follow_up_counts_as_one_and_not_as_paused(scrape: Scrape) -> None:
    begin(enqueue("sample", SAME, unique=ONCE_MORE))
    for _ in range(2):
        enqueue("sample", SAME, unique=ONCE_MORE)

    found = health.check().snapshot
    assert (found.pending, found.processing, found.paused, found.following) == (0, 1, 0, 1)
    depth = scrape()
    assert depth["jobs_queue_depth", "following", "sample"] == 1
    assert depth["jobs_queue_depth", "paused", "sample"] == 0
    assert next((one.waiting, one.paused) for one in loads() if one.name == "sample") == (1, 0)


def test_a_follow_up_that_is_delivered_too_soon_goes_back_at_no_cost(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=ONCE_MORE)
    begin(first)
    second = enqueue("sample", SAME, unique=ONCE_MORE)
    change_row(second, pause=None, published_at=func.now(), message_id="msg_soon")

    answer = deliver(second).json

    assert answer == {"success": True, "skipped": "follow-up"}
    row = rows[second]
    assert (row.status, row.pause, row.attempts) == ("pending", f"follows:{first}", [])


@pytest.mark.parametrize("how", ["dead", "cancelled", "deleted past us"])
def test_a_sweep_begins_what_followed_a_job_that_ended_elsewhere(rows: Rows, how: str) -> None:
    first = enqueue("sample", SAME, unique=ONCE_MORE)
    begin(first)
    second = enqueue("sample", SAME, unique=ONCE_MORE)
    sweep()
    assert rows[second].published_at is None
    if how == "deleted past us":
        db.session.execute(text("DELETE FROM job_executions WHERE job_id = :id"), {"id": first})
        db.session.commit()
    else:
        ended = {"status": "failed"} if how == "dead" else {"status": how}
        change_row(first, **ended, dead_at=func.now() if how == "dead" else None)

    sweep()

    assert (rows[second].pause, rows[second].published_at is not None) == (None, True)


def test_a_pause_and_the_one_before_hold_a_follow_up_one_after_the_other(rows: Rows) -> None:
    pause("organization", "7", reason="to see", by="test")
    owner: Any = {"organization_id": 7, "unique": ONCE_MORE}
    first = enqueue("sample", SAME, **owner)
    begin(first)
    second = enqueue("sample", SAME, **owner)
    assert (second.enqueued_as, rows[second].pause) == ("follow-up", "organization:7")

    resume("organization", "7", by="test")
    assert rows[second].pause == f"follows:{first}"
    change_row(first, status="completed")
    sweep()
    assert rows[second].published_at is not None


def test_many_are_unique_each(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=ONE)
    payloads = [{"action": "check"}, SAME, {"action": "check", "count": 3}, {"action": "echo"}]

    made = enqueue_many("sample", payloads, unique=ONE)

    assert made.enqueued_as == ["new", "existing", "existing", "new"]
    assert (made[1], made[2]) == (first, made[0])
    assert sorted(jobs()) == sorted({first, made[0], made[3]})
    assert all(rows[one].published_at for one in made)
    assert enqueue_many("sample", [SAME] * 2).enqueued_as == ["new", "new"]


def test_one_that_is_there_is_no_job_of_the_batch(rows: Rows) -> None:
    first = enqueue("sample", SAME, unique=ONE)
    signatures = [sample.s(Sample(action), unique=ONE) for action in ("none", "echo")]
    signatures.append(sample.s(Sample("echo"), unique=False))

    with batch("some", then=sample.s(Sample("then"))) as made:
        ids = made.enqueue_many(signatures)

    assert made.existing == {ids[0]: first}
    assert made.existing[ids[0]].enqueued_as == "existing"
    assert [rows[one].batch_id for one in (first, *ids[1:])] == [None, made.id, made.id]
    deliver(ids[1])
    assert count_rows() == 3
    deliver(ids[2])
    assert count_rows() == 4  # the one that follows


def test_a_batch_of_jobs_that_are_all_there_has_ended(rows: Rows) -> None:
    enqueue("sample", SAME, unique=ONE)
    with batch("none", then=sample.s(Sample("then"))) as made:
        made.enqueue(sample.s(Sample("none"), unique=ONE))

    assert [rows[one].batch_id for one in jobs()] == [None, made.id]


def test_what_waits_for_others_cannot_be_unique(rows: Rows) -> None:
    unique = sample.s(Sample("none"), unique=ONE)
    said = "begins here by the end of other jobs, and another job cannot stand for it"

    with pytest.raises(InvalidOption, match=said), workflow("steps") as made:
        made.add("first", unique)
    with pytest.raises(InvalidOption, match=said), batch("some", then=unique):
        pass
    assert not count_rows()


def test_a_retry_by_hand_takes_the_key_again(rows: Rows) -> None:
    first = enqueue("sample", {"action": "permanent"}, unique=ONE)
    deliver(first)
    second = enqueue("sample", {"action": "permanent"}, unique=ONE)

    refused = actions.retry(Filter(job_ids=(first,)), by="test")

    assert (refused.count, rows[first].status) == (0, "failed")
    said = f"job {first} of sample is unique, and job {second} has its key by now"
    assert refused.refused == [f"{said}: wait for that one, or cancel it, and retry then"]
    with pytest.raises(IllegalTransition, match="another job has its key by now"):
        update_job_execution(first, {"status": "pending"})
    actions.cancel(Filter(job_ids=(second,)), by="test")
    assert actions.retry(Filter(job_ids=(first,)), by="test").count == 1
    assert enqueue("sample", {"action": "permanent"}, unique=ONE) == first


def test_of_several_with_one_key_a_retry_takes_the_newest(rows: Rows) -> None:
    made = []
    for _ in range(3):
        made.append(enqueue("sample", {"action": "permanent"}, unique=ONE))
        deliver(made[-1])
    other = enqueue("sample", {"action": "permanent"})
    deliver(other)

    done = actions.retry(Filter(dead=True), by="test")

    assert (done.count, len(done.refused)) == (2, 2)
    assert [rows[one].status for one in (*made, other)] == [
        "failed",
        "failed",
        "pending",
        "pending",
    ]


def test_a_retry_of_one_whose_period_is_over_takes_no_key(rows: Rows) -> None:
    first = enqueue("sample", {"action": "permanent"}, unique=ONE)
    deliver(first)
    change_row(first, unique_until=func.now() - timedelta(seconds=1))
    enqueue("sample", {"action": "permanent"}, unique=ONE)

    assert actions.retry(Filter(job_ids=(first,)), by="test").count == 1


def test_a_retry_waits_for_the_one_that_runs_where_one_more_may(rows: Rows) -> None:
    first = enqueue("sample", {"action": "permanent"}, unique=ONCE_MORE)
    deliver(first)
    second = enqueue("sample", {"action": "permanent"}, unique=ONCE_MORE)
    begin(second)

    assert actions.retry(Filter(job_ids=(first,)), by="test").count == 1
    assert rows[first].pause == f"follows:{second}"


def test_a_redrive_of_a_dead_job_whose_key_another_has_runs_nothing(rows: Rows) -> None:
    for rule in (ONE, ONCE_MORE):
        first = enqueue("sample", {"action": "permanent"}, unique=rule)
        deliver(first)
        second = enqueue("sample", {"action": "permanent"}, unique=rule)
        begin(second)

        answer = deliver(first, message_id="msg_redriven")

        assert answer.json == {"success": True, "skipped": "dead"}
        assert (rows[first].status, len(rows[first].attempts)) == ("failed", 1)
        change_row(second, status="completed")
        deliver(first, message_id="msg_redriven_again")
        assert len(rows[first].attempts) == 2


@pytest.mark.usefixtures("declared")
def test_the_sealed_payload_of_a_replaced_job_opens() -> None:
    opened.clear()
    for secret in ("one", "two"):
        rule = Unique(fields=("to",), on_conflict="replace")
        enqueue("letter", {"to": "ann", "secret": secret}, unique=rule)

    drain()

    assert opened == ["two"]


def test_bad_payloads_record_nothing(rows: Rows) -> None:
    with pytest.raises(InvalidPayload):
        enqueue_many("sample", [SAME, {"action": 1}], unique=ONE)
    with pytest.raises(InvalidOption, match="idempotency_key: the job is unique"):
        enqueue("sample", SAME, unique=ONE, idempotency_key="k")
    assert not count_rows()
