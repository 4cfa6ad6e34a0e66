"""Batches: recorded as a whole, ended once by their last job, followed once."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from app.db import db
from app.jobs import (
    BatchRefused,
    InvalidOption,
    InvalidPayload,
    Job,
    JobBlueprint,
    JobExecution,
    UnknownJobType,
    batch,
    batch_of,
    signature,
)
from app.jobs.batches import builder
from app.jobs.message import Message
from app.jobs.operate import actions
from app.jobs.recover.sweep import sweep
from app.jobs.table.batch_models import BatchSlot, JobBatch
from app.jobs.table.filters import Filter
from app.jobs.testing import deliver, drain
from tests.support.rows import count_rows, row_of
from tests.support.sample_jobs import Sample, SampleSchema, noop, sample

bp = JobBlueprint("growing", __name__)


@bp.job("growing", "/growing", payload=SampleSchema, retries=0)
def growing(payload: Sample, job: Job) -> None:
    """Add jobs to its own batch, then do as told."""
    with batch_of(job) as mine:
        mine.enqueue_many(noop.s(Sample("none")) for _ in range(payload.count))
    if payload.action == "fail":
        raise ValueError("after adding")


@pytest.fixture(autouse=True)
def _growing(app: Flask) -> None:
    app.register_blueprint(bp)


GOOD, BAD = noop.s(Sample("none")), sample.s(Sample("permanent"))
THEN, ON_FAILURE = sample.s(Sample("none", 1)), sample.s(Sample("none", 2))


def make(*signatures: Any, **options: Any) -> tuple[str, list[str]]:
    """Record a batch with both follow-ups; return its id and those of its jobs."""
    with batch("all of them", then=THEN, on_failure=ON_FAILURE, **options) as made:
        jobs = made.enqueue_many(signatures)
    return made.id, jobs


def state(batch_id: str) -> str:
    db.session.rollback()
    return db.session.scalars(select(JobBatch.state).where(JobBatch.id == batch_id)).one()


def followed() -> list[int]:
    """Return which follow-ups are recorded: 1 for `then`, 2 for `on_failure`."""
    db.session.rollback()
    of_batch = JobExecution.batch_id.is_not(None) & JobExecution.slot.is_(None)
    rows = db.session.scalars(select(JobExecution).where(of_batch).order_by(JobExecution.id))
    return [row.payload["payload"]["count"] for row in rows]


def act(action: Callable[..., Any], *job_ids: str) -> None:
    action(Filter(job_ids=job_ids), by="a test")


@pytest.mark.usefixtures("published")
def test_the_end_of_the_last_job_is_the_batch_s_end_and_enqueues_what_follows(
    published: list[Message],
) -> None:
    made, jobs = make(GOOD, GOOD, GOOD, user_id=7)

    for job_id in jobs[:2]:
        deliver(job_id)
    assert (state(made), followed()) == ("running", [])
    deliver(jobs[2])

    assert (state(made), followed()) == ("completed", [1])
    assert len(published) == 4
    assert row_of(published[-1].job_id).user_id == 7
    assert row_of(published[-1].job_id).published_at is not None
    assert [one.answer.status_code for one in drain()] == [200]
    assert followed() == [1]


@pytest.mark.usefixtures("published")
def test_one_that_is_dead_makes_it_fail_and_completed_later_it_goes_on() -> None:
    made, jobs = make(GOOD, BAD)
    drain()
    assert (state(made), followed()) == ("failed", [2])

    db.session.execute(
        update(JobExecution)
        .where(JobExecution.job_id == jobs[1])
        .values(payload={**row_of(jobs[1]).payload, "payload": {"action": "none"}})
    )
    db.session.commit()
    act(actions.retry, jobs[1])
    assert state(made) == "running"
    drain()

    assert (state(made), followed()) == ("completed", [2, 1])


@pytest.mark.usefixtures("published")
def test_what_follows_a_failure_follows_once_however_often_it_fails() -> None:
    made, jobs = make(BAD)
    drain()
    act(actions.retry, *jobs)
    drain()

    assert (state(made), followed()) == ("failed", [2])


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_job_that_is_called_off_is_not_waited_for_and_nothing_follows(how: str) -> None:
    made, jobs = make(GOOD, GOOD)
    deliver(jobs[0])
    if how == "cancelled":
        act(actions.cancel, jobs[1])
    else:
        db.session.execute(text("DELETE FROM job_executions WHERE job_id = :id"), {"id": jobs[1]})
        db.session.commit()

    assert (state(made), followed()) == ("cancelled", [])


@pytest.mark.usefixtures("published")
def test_jobs_that_have_ended_may_be_deleted_before_the_batch_ends() -> None:
    made, jobs = make(GOOD, GOOD)
    deliver(jobs[0])
    act(actions.delete, jobs[0])
    deliver(jobs[1])

    assert (state(made), followed()) == ("completed", [1])


@pytest.mark.usefixtures("published")
def test_a_running_job_adds_to_its_batch_and_the_end_waits_for_those() -> None:
    made, (first,) = make(growing.s(Sample("none", 3)))
    deliver(first)
    assert (state(made), followed(), count_rows()) == ("running", [], 4)

    drain()
    assert (state(made), followed()) == ("completed", [1])


@pytest.mark.usefixtures("published")
def test_what_a_job_added_before_it_failed_is_not_there() -> None:
    made, _ = make(growing.s(Sample("fail", 3)))
    drain()

    assert (state(made), followed(), count_rows()) == ("failed", [2], 2)


@pytest.mark.usefixtures("published")
def test_a_batch_without_jobs_has_completed_at_once() -> None:
    made, _ = make()

    assert (state(made), followed()) == ("completed", [1])
    assert row_of(drain()[0].job_id).status == "completed"


@pytest.mark.usefixtures("published")
def test_with_a_session_it_is_there_when_that_commits_and_not_before(
    published: list[Message],
) -> None:
    make(GOOD, session=db.session)
    assert published == []
    db.session.rollback()
    assert count_rows() == 0

    made, jobs = make(GOOD, GOOD, session=db.session)
    empty, _ = make(session=db.session)
    db.session.commit()
    assert [one.job_id for one in published[:2]] == jobs
    assert len(published) == 3
    assert (state(made), state(empty)) == ("running", "completed")


@pytest.mark.usefixtures("published")
def test_many_jobs_of_several_types_with_options_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, "CHUNK", 7)
    with batch("mixed", organization_id=3) as made:
        for number in range(100):
            made.enqueue((noop, sample)[number % 2].s(Sample("none"), retries=number % 3))
        made.enqueue(noop.s(Sample("none"), tags=["red"]))
        made.enqueue(noop.s(Sample("none"), user_id=9, headers={"X-One": "1"}, delay="1h"))

    rows = list(db.session.scalars(select(JobExecution)))
    assert {row.batch_id for row in rows} == {made.id}
    assert {row.organization_id for row in rows} == {3}
    assert [row.max_retries for row in rows].count(2) == 33
    slots = db.session.execute(select(BatchSlot.slot, BatchSlot.jobs, BatchSlot.pending)).all()
    counted = {slot: [row.slot for row in rows].count(slot) for slot, _, _ in slots}
    assert {slot: (jobs, pending) for slot, jobs, pending in slots} == {
        slot: (count, count) for slot, count in counted.items()
    }
    assert sum(counted.values()) == 102
    assert [row.tags for row in rows if row.tags] == [["red"]]
    (delayed,) = [row for row in rows if row.available_at]
    assert (delayed.user_id, delayed.options["headers"]["X-One"]) == (9, "1")


@pytest.mark.usefixtures("published")
def test_a_cancelled_batch_s_jobs_that_come_later_are_not_begun() -> None:
    _, jobs = make(GOOD, sample.s(Sample("none")))
    db.session.execute(update(JobBatch).values(cancelled_at=db.func.now()))
    db.session.commit()

    assert deliver(jobs[1]).json == {"success": True, "skipped": "cancelled"}
    assert row_of(jobs[1]).status == "cancelled"
    assert not db.session.execute(text("SELECT FROM effects")).all()


@pytest.mark.usefixtures("published")
def test_what_a_crash_left_unpublished_the_sweep_publishes(
    published: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.publish.relay.publish_started", lambda _: None)
    _, jobs = make(GOOD)
    deliver(*jobs)
    assert len(published) == 1

    sweep(grace=0)
    assert len(published) == 2


@pytest.mark.usefixtures("published")
def test_a_batch_is_forgotten_when_none_of_its_jobs_is_left() -> None:
    made, _ = make(GOOD)
    drain()
    db.session.execute(update(JobBatch).values(ended_at=text("now() - interval '2 days'")))
    db.session.commit()
    sweep()
    assert state(made) == "completed"

    db.session.execute(text("DELETE FROM job_executions"))
    db.session.commit()
    sweep()
    assert not db.session.execute(text("SELECT FROM job_batches")).all()
    assert not db.session.execute(text("SELECT FROM job_batch_slots")).all()


def refused_calls() -> Iterator[Any]:
    def closed() -> None:
        with batch("closed") as made:
            made.enqueue(GOOD)
        count = count_rows()
        try:
            made.enqueue(GOOD)
        finally:
            assert count_rows() == count

    def twice() -> None:
        made = batch("twice")
        for _ in range(2):
            with made:
                pass

    def at_once(*signatures: Any, **options: Any) -> None:
        with batch("bad", **options) as made:
            made.enqueue(GOOD)
            made.enqueue_many(signatures)

    yield pytest.param(closed, BatchRefused, "'closed' is closed, .*within the block", id="closed")
    yield pytest.param(twice, BatchRefused, "was opened before", id="twice")
    yield pytest.param(
        lambda: batch("unopened").enqueue(GOOD), BatchRefused, "write `with", id="not opened"
    )
    yield pytest.param(lambda: at_once("noop"), InvalidOption, r"write `send_email\.s", id="no s")
    yield pytest.param(
        lambda: at_once(noop.s(Sample(1))),  # type: ignore[arg-type]
        InvalidPayload,
        "action",
        id="payload",
    )
    yield pytest.param(
        lambda: at_once(signature("nop", {})), UnknownJobType, "noop", id="unknown type"
    )
    yield pytest.param(
        lambda: at_once(then=signature("noop", {})), InvalidPayload, "action", id="then"
    )
    for name, value, said in (
        ("idempotency_key", "a", "none of its own"),
        ("unique", True, "neither a Unique nor False"),
    ):
        given: Any = {name: value}
        made = noop.s(Sample("none"), **given)
        yield pytest.param(partial(at_once, made), InvalidOption, f"{name}: .*{said}", id=name)
    yield pytest.param(
        lambda: at_once(noop.s(Sample("none"), retries=-1)), InvalidOption, "retries", id="option"
    )
    yield pytest.param(lambda: batch(" "), BatchRefused, "1 to 255 characters", id="no name")
    alone = Job(id="1", type="noop", attempt=1, generation=0, expires_at=0)
    yield pytest.param(lambda: batch_of(alone), BatchRefused, "is of no batch", id="no batch")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(("call", "error", "said"), [*refused_calls()])
def test_bad_input_is_one_sentence_and_records_nothing(
    call: Callable[[], Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        call()

    assert "\n" not in str(raised.value)
    if "closed" not in said and "opened" not in said:
        assert not db.session.execute(text("SELECT FROM job_batches")).all()
        assert count_rows() == 0


@pytest.mark.usefixtures("published")
def test_one_job_more_than_a_batch_may_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MOST_JOBS", 3)
    with pytest.raises(BatchRefused, match="has 3 jobs already"):
        make(*[GOOD] * 4)
    assert count_rows() == 0

    make(growing.s(Sample("none", 3)))
    drain()
    assert "more than 3 jobs" in (row_of(all_jobs()[0]).error or "")


def all_jobs() -> list[str]:
    return list(db.session.scalars(select(JobExecution.job_id).order_by(JobExecution.id)))


@pytest.mark.usefixtures("published")
def test_nothing_is_added_to_a_batch_that_has_ended() -> None:
    made, _ = make(GOOD)
    drain()
    late = Job(id="1", type="noop", attempt=1, generation=0, expires_at=0, batch_id=made)

    with pytest.raises(BatchRefused, match="has ended"), batch_of(late) as again:
        again.enqueue(GOOD)
