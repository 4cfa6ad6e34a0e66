"""Workflows and chains: each step begins once, when those before it have ended."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from unittest.mock import Mock

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
    PermanentError,
    Status,
    batch_of,
    chain,
    signal,
    workflow,
    workflow_of,
)
from app.jobs.batches import workflow as building
from app.jobs.context import current_job
from app.jobs.message import Message
from app.jobs.operate import actions, audit, batches
from app.jobs.recover.sweep import sweep
from app.jobs.table import batches as batches_table
from app.jobs.table.filters import Filter
from app.jobs.testing import deliver, drain
from tests.support.rows import change_row, count_rows, row_of
from tests.support.sample_jobs import Sample, SampleSchema, noop

pytestmark = pytest.mark.usefixtures("published", "_step")

bp = JobBlueprint("steps", __name__)


@bp.job("step", "/step", payload=SampleSchema, retries=0)
def step(payload: Sample, job: Job) -> dict[str, Any] | None:
    """Do as told, and return what the steps before have returned."""
    match payload.action:
        case "die":
            raise PermanentError("as told")
        case "grow":
            with workflow_of(job) as more:
                for number in range(payload.count):
                    more.add(f"more {number}", noop.s(Sample("none")), after=["first"])
                more.add("last", step.s(Sample("none")), after=["more 0", "second"])
        case "fan out":
            with batch_of(job) as mine:
                mine.enqueue_many(noop.s(Sample("none")) for _ in range(payload.count))
        case "return much":
            return {"text": "x" * 70_000}
    return {"saw": dict(job.results)}


@pytest.fixture
def _step(app: Flask) -> None:
    app.register_blueprint(bp)


def job(action: str = "none", count: int = 0) -> Any:
    return step.s(Sample(action, count))


def states(workflow_id: str) -> dict[str, str]:
    db.session.rollback()
    return {one.name: one.state for one in batches.steps(workflow_id)}


def deliver_all(*names: str, of: str) -> None:
    """Deliver the jobs of steps, by name."""
    for name in names:
        found = {one.name: one.job_id for one in batches.steps(of)}
        deliver(found[name] or "")


def test_a_step_begins_when_those_before_it_have_completed_and_sees_their_results(
    published: list[Message],
) -> None:
    with workflow("a diamond", then=job(), user_id=7) as made:
        made.add("last", job(), after=["left", "right"])
        made.add("first", job())
        made.add("left", job(), after=["first"])
        made.add("right", job(), after=["first"])

    assert (len(published), count_rows()) == (1, 1)
    deliver_all("first", of=made.id)
    assert len(published) == 3
    deliver_all("left", of=made.id)
    assert states(made.id) == {
        "first": "completed",
        "left": "completed",
        "right": "running",
        "last": "waiting",
        "then": "waiting",
    }
    deliver_all("right", "last", of=made.id)

    assert batches.find(made.id).state == "completed"
    last = next(one.job_id for one in batches.steps(made.id) if one.name == "last")
    saw = (row_of(last or "").result or {})["saw"]
    assert set(saw) == {"first", "left", "right"}
    assert saw["left"] == {"saw": {"first": {"saw": {}}}}
    assert states(made.id)["then"] == "pending"
    assert {row_of(one.job_id).user_id for one in published} == {7}
    assert len(drain()) == 1
    assert count_rows() == 5


def test_a_chain_is_a_workflow_in_a_line() -> None:
    made = chain(job(), noop.s(Sample("none")), job(), name="three")

    assert list(states(made.id)) == ["step", "noop", "step 2"]
    deliver_all("step", of=made.id)
    assert batches.find(made.id).percent == 33
    assert [one.job_type for one in drain()] == ["noop", "step"]
    assert batches.find(made.id).state == "completed"


def test_with_a_session_it_begins_when_that_commits(published: list[Message]) -> None:
    chain(job(), job(), session=db.session)
    db.session.rollback()
    assert count_rows() == 0

    chain(job(), job(), session=db.session)
    assert published == []
    db.session.commit()
    assert len(published) == 1


def test_what_follows_the_end_has_the_state_of_its_job() -> None:
    with workflow("followed", then=job()) as made:
        made.add("step", job())
    deliver_all("step", of=made.id)
    follower = next(one.job_id for one in batches.steps(made.id) if one.name == "then") or ""

    change_row(follower, status="failed")
    assert states(made.id)["then"] == "retrying"
    change_row(follower, status="failed", dead_at=datetime.now(UTC))
    assert states(made.id)["then"] == "dead"
    actions.delete(Filter(job_ids=(follower,)), by="ann")
    assert states(made.id)["then"] == "started"


def test_what_is_to_come_after_one_that_died_is_skipped_goes_on_or_is_replaced() -> None:
    with workflow("one dies", on_failure=job()) as made:
        made.add("dies", job("die"))
        made.add("skipped", job(), after=["dies"])
        made.add("skipped too", job(), after=["skipped"])
        made.add("goes on", job(), after=["skipped too"], if_dead="go on")
        made.add("refund", job(), after=["dies"], if_dead=noop.s(Sample("none")))
        made.add("after the refund", job(), after=["refund"])
    drain()

    assert states(made.id) == {
        "dies": "dead",
        "skipped": "skipped",
        "skipped too": "skipped",
        "goes on": "completed",
        "refund": "replaced",
        "after the refund": "skipped",
        "on_failure": "completed",
    }
    assert batches.find(made.id).state == "failed"


@pytest.mark.parametrize("order", [1, -1], ids=["in their order", "the last first"])
def test_the_death_of_the_first_of_many_in_a_line_skips_the_others_at_once(order: int) -> None:
    with workflow("line") as line:
        for number in range(500)[::order]:
            before = [str(number - 1)] if number else []
            line.add(str(number), job("none" if number else "die"), after=before)

    began = monotonic()
    deliver_all("0", of=line.id)

    assert monotonic() - began < 10, "each step compared with all others takes half a minute"
    assert batches.find(line.id).state == "failed"
    assert set(states(line.id).values()) == {"dead", "skipped"}


def test_what_an_end_has_begun_is_sought_by_its_id_whatever_the_planner_knows(
    statements: list[str],
) -> None:
    made = chain(job(), job())
    connection = db.session.connection()
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    batches_table.started(connection, made.id)
    explained = connection.exec_driver_sql(f"EXPLAIN {statements[-1]}", {"batch_id": made.id})
    plan = " ".join(explained.scalars())

    assert "job_id)::text = (step.job_id)::text" in plan
    assert "idx_job_executions_status" not in plan


def test_a_dead_step_that_is_retried_brings_the_workflow_on() -> None:
    made = chain(job("die"), job(), then=job())
    drain()
    assert states(made.id) == {"step": "dead", "step 2": "skipped", "then": "skipped"}

    (dead,) = (one.job_id for one in batches.steps(made.id) if one.state == "dead")
    cure(dead or "")
    assert batches.retry(made.id, by="a test").count == 1
    assert batches.find(made.id).state == "running"
    drain()

    assert states(made.id) == {"step": "completed", "step 2": "completed", "then": "completed"}


def cure(job_id: str) -> None:
    payload = {**row_of(job_id).payload, "payload": {"action": "none"}}
    db.session.execute(
        update(JobExecution).where(JobExecution.job_id == job_id).values(payload=payload)
    )
    db.session.commit()


def test_a_running_step_adds_steps() -> None:
    with workflow("grows") as made:
        made.add("first", job())
        made.add("second", job("grow", 2), after=["first"])
    drain()

    assert states(made.id) == dict.fromkeys(
        ["first", "second", "more 0", "more 1", "last"], "completed"
    )


def test_what_a_step_adds_to_its_batch_is_waited_for_by_the_steps_after_it() -> None:
    with workflow("fans out") as made:
        made.add("many", job("fan out", 3))
        made.add("gather", job(), after=["many"])
    deliver_all("many", of=made.id)
    assert states(made.id) == {"many": "running", "gather": "waiting"}

    done = drain()
    assert [one.job_type for one in done] == ["noop", "noop", "noop", "step"]
    assert batches.find(made.id).jobs == 5


def test_a_step_that_asks_for_a_result_that_was_too_large_is_dead_with_a_sentence() -> None:
    made = chain(job("return much"), job())
    drain()

    assert states(made.id) == {"step": "completed", "step 2": "dead"}
    (dead,) = (one.job_id for one in batches.steps(made.id) if one.state == "dead")
    assert "the result of step 'step' had 70,011 bytes, and one of more than 65,536 is" in (
        row_of(dead or "").error or ""
    )


def test_a_cancelled_workflow_begins_no_step() -> None:
    with workflow("called off", then=job(), on_failure=job()) as made:
        made.add("first", job())
        made.add("second", job(), after=["first"])
        made.wait_for("never", timeout="1d")
    batches.cancel(made.id, by="a test")

    assert states(made.id) == {
        "first": "cancelled",
        "second": "skipped",
        "never": "cancelled",
        "then": "skipped",
        "on_failure": "skipped",
    }
    assert batches.find(made.id).state == "cancelled"
    assert drain() == []


@pytest.mark.parametrize("comes", ["before", "while it waits"])
def test_a_signal_completes_the_step_that_waits_for_it(comes: str) -> None:
    with workflow("pays") as made:
        made.add("ask", job())
        made.wait_for("invoice.paid", match={"invoice": 7}, timeout="3d", after=["ask"])
        made.add("ship", job(), after=["invoice.paid"])
    with pytest.raises(BatchRefused, match=r"no workflow waits for 'invoice\.paid'"):
        signal("invoice.paid", {"invoice": 8})
    if comes == "before":
        assert signal("invoice.paid", {"invoice": 7, "amount": 12}) == 1
    drain()
    if comes == "while it waits":
        assert states(made.id)["invoice.paid"] == "running"
        assert signal("invoice.paid", {"invoice": 7, "amount": 12}, session=db.session) == 1
        db.session.commit()
    drain()

    assert states(made.id) == dict.fromkeys(["ask", "invoice.paid", "ship"], "completed")
    ship = next(one.job_id for one in batches.steps(made.id) if one.name == "ship")
    saw = (row_of(ship or "").result or {})["saw"]
    assert saw["invoice.paid"] == {"invoice": 7, "amount": 12}
    with pytest.raises(BatchRefused, match="heard it before"):
        signal("invoice.paid", {"invoice": 7})


def test_a_wait_whose_time_is_up_has_not_completed() -> None:
    with workflow("waits", on_failure=noop.s(Sample("none"))) as made:
        made.wait_for("invoice.paid", timeout="1h")
        made.add("ship", job(), after=["invoice.paid"])
        made.add("remind", job(), after=["invoice.paid"], if_dead="go on")
    sweep()
    assert states(made.id)["invoice.paid"] == "running"
    db.session.execute(text("UPDATE job_steps SET due_at = now() WHERE due_at IS NOT NULL"))
    db.session.commit()
    sweep()
    with pytest.raises(BatchRefused, match="no workflow waits"):
        signal("invoice.paid")
    drain()

    assert states(made.id) == {
        "invoice.paid": "timed out",
        "ship": "skipped",
        "remind": "completed",
        "on_failure": "completed",
    }


def test_a_wait_that_timed_out_is_retried_with_the_dead_jobs() -> None:
    with workflow("waits", then=noop.s(Sample("none"))) as made:
        made.wait_for("invoice.paid", timeout="1h")
        made.add("ship", job(), after=["invoice.paid"])
    db.session.execute(text("UPDATE job_steps SET due_at = now() WHERE due_at IS NOT NULL"))
    db.session.commit()
    sweep()
    assert batches.find(made.id).state == "failed"

    done = batches.retry(made.id, by="a test")
    assert (done.count, done.waits) == (0, 1)
    (entry,) = audit.entries(limit=2)
    assert (entry.action, entry.filter) == ("batch retry", {"batch": made.id})
    assert (batches.find(made.id).state, states(made.id)["invoice.paid"]) == ("running", "running")
    sweep()
    assert signal("invoice.paid") == 1
    drain()

    assert states(made.id) == {
        "invoice.paid": "completed",
        "ship": "completed",
        "then": "completed",
    }
    assert batches.retry(made.id, by="a test").waits == 0


@pytest.mark.parametrize("by", ["its jobs", "the workflow"])
def test_a_wait_that_was_cancelled_comes_back_with_its_workflow(by: str) -> None:
    with workflow("called off", then=noop.s(Sample("none"))) as made:
        made.add("ask", job())
        made.wait_for("invoice.paid", timeout="1h")
        made.add("ship", job(), after=["ask", "invoice.paid"])
    batches.cancel(made.id, by="a test")
    assert (states(made.id)["ask"], states(made.id)["invoice.paid"]) == ("cancelled", "cancelled")

    if by == "the workflow":
        assert batches.retry(made.id, by="a test").waits == 1
    assert actions.retry(Filter(batch_id=made.id, status=Status.CANCELLED), by="a test").count == 1
    assert states(made.id)["invoice.paid"] == "running"
    drain()
    assert states(made.id) == {
        "ask": "completed",
        "invoice.paid": "running",
        "ship": "waiting",
        "then": "waiting",
    }
    sweep()
    assert signal("invoice.paid") == 1
    drain()

    assert set(states(made.id).values()) == {"completed"}
    assert batches.find(made.id).state == "completed"


def test_a_wait_that_comes_back_has_all_its_time_again() -> None:
    with workflow("called off") as made:
        made.add("ask", job())
        made.wait_for("invoice.paid", timeout="1h")
    batches.cancel(made.id, by="a test")
    db.session.execute(text("UPDATE job_steps SET due_at = now() WHERE due_at IS NOT NULL"))
    db.session.commit()
    actions.retry(Filter(batch_id=made.id, status=Status.CANCELLED), by="a test")
    sweep()

    assert states(made.id)["invoice.paid"] == "running"


@pytest.mark.parametrize("dies", [False, True], ids=["at once", "after one that died amid it"])
def test_what_became_ready_while_a_workflow_was_called_off_begins_with_its_retry(
    published: list[Message], monkeypatch: pytest.MonkeyPatch, *, dies: bool
) -> None:
    with workflow("called off") as made:
        made.add("ask", job())
        made.add("pack", job(), after=["ask"])
        made.wait_for("invoice.paid", timeout="1h")
    ask = published[0].job_id
    change_row(ask, status="processing")
    batches.cancel(made.id, by="a test")
    change_row(ask, status="completed")  # its handler has not looked whether it should stop
    assert batches.find(made.id).state == "cancelled"

    if dies:
        with monkeypatch.context() as patch:
            patch.setattr(actions, "retry", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                batches.retry(made.id, by="a test")
    assert batches.retry(made.id, by="a test").waits == (0 if dies else 1)

    assert states(made.id) == {"ask": "completed", "pack": "running", "invoice.paid": "running"}
    assert len(published) == 2
    drain()
    assert signal("invoice.paid") == 1
    assert batches.find(made.id).state == "completed"


def test_what_was_made_good_has_not_completed_also_if_the_dead_job_does_later() -> None:
    with workflow("an order", then=job(), on_failure=noop.s(Sample("none"))) as made:
        made.add("ship", job("die"))
        made.add("thank", job(), after=["ship"], if_dead=noop.s(Sample("none")))
        made.add("archive", job(), after=["thank"])
    drain()
    cure(next(one.job_id for one in batches.steps(made.id) if one.name == "ship") or "")
    batches.retry(made.id, by="a test")
    drain()

    assert states(made.id) == {
        "ship": "completed",
        "thank": "replaced",
        "archive": "skipped",
        "on_failure": "completed",
        "then": "skipped",
    }
    assert batches.find(made.id).state == "failed"


def test_what_a_step_returned_outlives_its_job() -> None:
    with workflow("outlives") as made:
        made.add("first", job())
        made.wait_for("go", timeout="1d", after=["first"])
        made.add("last", job(), after=["go"])
    deliver_all("first", of=made.id)
    (first,) = (one.job_id or "" for one in batches.steps(made.id) if one.name == "first")
    assert actions.delete(Filter(job_ids=(first,)), by="a test").count == 1
    signal("go")
    (done,) = drain()

    assert (row_of(done.job_id).result or {})["saw"]["first"] == {"saw": {}}
    assert batches.find(made.id).state == "completed"


def test_a_process_that_dies_while_it_cancels_leaves_no_workflow_that_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with workflow("waits for the world alone") as made:
        made.wait_for("never", timeout="1d")
    monkeypatch.setattr(actions, "cancel", dies)
    with pytest.raises(KeyboardInterrupt):
        batches.cancel(made.id, by="a test")

    assert batches.find(made.id).state == "cancelled"


def test_a_step_s_job_has_tags_and_begins_within_its_time_from_then_on() -> None:
    with workflow("tagged") as made:
        made.add("first", step.s(Sample("none"), tags=["red"]))
        made.wait_for("go", timeout="1d", after=["first"])
        made.add("last", step.s(Sample("none"), tags=["red"], expires="1h"), after=["go"])
    drain()
    db.session.execute(
        text("UPDATE job_steps SET job = jsonb_set(job, '{options,expires}', '\"2020-01-01\"')")
    )
    db.session.commit()
    signal("go")
    drain()

    rows = db.session.scalars(select(JobExecution).where(JobExecution.batch_id == made.id)).all()
    assert [(row.tags, row.status) for row in rows] == [(["red"], "completed")] * 2


def test_an_action_on_one_job_is_one_on_its_step() -> None:
    made = chain(job(), job())
    first = batches.steps(made.id)[0].job_id or ""
    actions.cancel(Filter(job_ids=(first,)), by="a test")
    assert states(made.id) == {"step": "cancelled", "step 2": "skipped"}

    actions.retry(Filter(job_ids=(first,)), by="a test")
    drain()
    assert batches.find(made.id).state == "completed"


def test_what_a_cancel_by_hand_has_begin_is_published_at_once(published: list[Message]) -> None:
    with workflow("goes on") as made:
        made.add("first", job())
        made.add("second", job(), after=["first"], if_dead="go on")
    actions.cancel(Filter(job_ids=(published[0].job_id,)), by="a test")

    assert len(published) == 2
    deliver_all("second", of=made.id)
    assert states(made.id) == {"first": "cancelled", "second": "completed"}


def filled(fill: Callable[[Any], object], **options: Any) -> Callable[[], object]:
    def call() -> None:
        with workflow("bad", **options) as made:
            made.add("fine", job())
            fill(made)

    return call


REFUSED = {
    "a cycle": (
        filled(lambda wf: [wf.add("a", job(), after=["b"]), wf.add("b", job(), after=["a"])]),
        "wait for each other .*a > b|b > a",
    ),
    "itself": (filled(lambda wf: wf.add("a", job(), after=["a"])), "wait for each other"),
    "unknown": (
        filled(lambda wf: wf.add("a", job(), after=["fne"])),
        "'a' is after 'fne', which .* has not; did you mean: fine",
    ),
    "twice": (filled(lambda wf: wf.add("fine", job())), "has a step 'fine' already"),
    "a reserved name": (filled(lambda wf: wf.add("then", job())), "another name"),
    "no name": (filled(lambda wf: wf.add("", job())), "1 to 100 characters"),
    "after a text": (filled(lambda wf: wf.add("a", job(), after="fine")), r"write \['first'\]"),
    "policy": (filled(lambda wf: wf.add("a", job(), if_dead="stp")), "neither 'stop' nor 'go on'"),
    "policies": (filled(lambda wf: wf.add("a", job(), if_dead=["stop"])), "neither 'stop' nor"),
    "a job instead of a wait": (
        filled(lambda wf: wf.wait_for("x", timeout=1, if_dead=job())),
        "nor 'go on': give a step after this one the signature",
    ),
    "after none": (filled(lambda wf: wf.add("a", job(), after=None)), "after: None is not a list"),
    "half a letter": (filled(lambda wf: wf.add("\ud800", job())), "has NUL characters or unpaired"),
    "no signature": (lambda: chain(noop), "is not a signature"),  # type: ignore[arg-type]
    "no event to signal": (lambda: signal(""), "event: '' is not a text"),
    "a NUL to signal": (lambda: signal("a\0"), "event: has NUL characters"),
    "half a letter in the name": (lambda: workflow("\ud800"), "name: has NUL characters"),
    "no event": (filled(lambda wf: wf.wait_for("", timeout=1)), "event: '' is not a text"),
    "no time": (filled(lambda wf: wf.wait_for("x", timeout=0)), "timeout: 0 is not above zero"),
    "too much time": (filled(lambda wf: wf.wait_for("x", timeout="366d")), "more than a year"),
    "match": (filled(lambda wf: wf.wait_for("x", match=[1], timeout=1)), "is not a dict"),
    "large": (
        filled(lambda wf: wf.wait_for("x", match={"a": "x" * 9000}, timeout=1)),
        "may have 8,192",
    ),
    "no jobs": (chain, "a chain has at least one job"),
    "no data": (lambda: signal("x", [1]), "data: .* is not a dict"),  # type: ignore[arg-type]
    "nobody": (lambda: signal("x"), "no workflow waits for 'x'"),
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_sentence_and_records_nothing(
    call: Callable[[], object], said: str
) -> None:
    with pytest.raises((BatchRefused, InvalidOption), match=said) as raised:
        call()

    assert "\n" not in str(raised.value)
    assert not db.session.execute(text("SELECT FROM job_batches")).all()
    assert count_rows() == 0


def test_a_bad_payload_or_option_is_said_where_it_is_given() -> None:
    with pytest.raises(InvalidPayload, match="action"):
        filled(lambda wf: wf.add("a", step.s(Sample(1))))()  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="retries"):
        filled(lambda wf: wf.add("a", step.s(Sample("none"), retries=-1)))()
    assert count_rows() == 0


def test_one_step_more_than_a_workflow_may_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "MOST_STEPS", 3)
    with pytest.raises(BatchRefused, match=r"more than 3 steps: .*batch_of"):
        filled(lambda wf: [wf.add(str(number), job()) for number in range(3)])()
    assert count_rows() == 0

    with workflow("grows") as made:
        made.add("first", job())
        made.add("second", job("grow", 2), after=["first"])
    drain()
    assert states(made.id) == {"first": "completed", "second": "dead"}


def test_only_a_step_adds_steps() -> None:
    alone = Job(id="1", type="noop", attempt=1, generation=0, expires_at=0)

    with pytest.raises(BatchRefused, match="is of no workflow"):
        workflow_of(alone)


def test_outside_of_a_job_there_is_no_batch_to_add_to() -> None:
    with pytest.raises(BatchRefused, match=r"^batch_of takes the job .*, not None$"):
        batch_of(current_job.get())
