"""A job that takes more than one delivery: each leg's work once, and nothing between two lost."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from qstash import QStash
from sqlalchemy import select, text

from app.db import db
from app.jobs import Continue, Job, JobBlueprint, Status, enqueue
from app.jobs.message import Message
from app.jobs.operate import actions
from app.jobs.publish.qstash import deduplication_id
from app.jobs.recover import sweep
from app.jobs.table.filters import Filter
from app.jobs.testing import assert_idempotent, deliver, drain
from tests.support.failure_callback import call_back, report
from tests.support.publishing import NOBODY, publishing
from tests.support.rows import Rows
from tests.support.sample_jobs import Effect, SampleSchema
from tests.support.waiting import wait_until

LEGS = {"action": "legs", "count": 3}


def effects() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Effect.note).order_by(Effect.id)))


@pytest.fixture
def script(app: Flask) -> list[Callable[[Job], Any]]:
    """What the handler of the type `scripted-legs` does, leg by leg."""
    bp, steps = JobBlueprint("scripted_legs", __name__), list[Callable[[Job], Any]]()

    @bp.job("scripted-legs", "/scripted-legs", payload=SampleSchema, retries=2)
    def handler(_: Any, job: Job) -> Any:
        db.session.add(Effect(job_id=job.id, note=f"leg {job.leg}"))
        return steps.pop(0)(job)

    app.register_blueprint(bp)
    return steps


def going_on(state: Any) -> Callable[[Job], Any]:
    def step(_: Job) -> None:
        raise Continue(state)

    return step


def test_a_leg_commits_its_work_with_the_checkpoint_and_publishes_the_next(
    published: list[Message], rows: Rows
) -> None:
    job_id = enqueue("sample", LEGS, delay="1h")

    assert deliver(job_id, retried=2).json == {"success": True, "continued": 1}

    row = rows[job_id]
    assert (row.status, row.legs, row.checkpoint) == ("pending", 1, {"done": 1, "before": None})
    assert (row.retry_count, row.lease_token, row.available_at) == (0, None, None)
    assert row.attempts[-1]["outcome"] == "continued"
    assert effects() == ["legs"]
    assert [deduplication_id(message) for message in published] == [
        f"{job_id}-0-0-0",
        f"{job_id}-0-1-0",
    ]
    assert row.message_id == f"msg_{job_id}-0-1-0"


def test_each_leg_goes_on_from_the_state_of_the_one_before(
    published: list[Message], rows: Rows
) -> None:
    job_id = enqueue("sample", LEGS)

    answers = [one.answer.json for one in drain()]

    assert [(answer or {}).get("continued") for answer in answers] == [1, 2, None]
    assert rows[job_id].checkpoint == {"done": 2, "before": {"done": 1, "before": None}}
    assert effects() == ["legs", "legs 2", "legs 3"]
    assert [one["leg"] for one in rows[job_id].attempts] == [1, 2, 3]


def test_it_comes_through_over_a_real_queue(live_qstash: QStash, rows: Rows) -> None:
    job_id = enqueue("sample", LEGS)

    wait_until(lambda: rows[job_id].status == "completed", "the last leg")

    assert effects() == ["legs", "legs 2", "legs 3"]


def test_a_leg_has_all_its_retries_and_the_job_one_idempotency_key(
    published: list[Message], script: list[Callable[[Job], Any]], rows: Rows
) -> None:
    def failing(_: Job) -> None:
        raise ConnectionError

    script += [failing, failing, going_on({"n": 1}), failing, failing]
    script.append(lambda job: {"attempt": job.attempt, "leg": job.leg, "key": job.idempotency_key})
    job_id = enqueue("scripted-legs", LEGS)

    assert [one.answer.status_code for one in drain()] == [500, 500, 200, 500, 500, 200]
    assert rows[job_id].result == {"attempt": 6, "leg": 2, "key": f"{job_id}/0"}
    assert effects() == ["leg 1", "leg 2"]


def test_a_message_whose_leg_is_done_runs_no_other(published: list[Message], rows: Rows) -> None:
    """QStash may deliver it once more; the next leg has a message of its own, with its retries."""
    job_id = enqueue("sample", LEGS)
    first = rows[job_id].message_id
    deliver(job_id, message_id=first)

    again = deliver(job_id, message_id=first, retried=1)

    assert again.json == {"success": True, "skipped": "continued"}
    assert effects() == ["legs"]
    assert rows[job_id].retry_count == 0


def test_a_leg_that_cannot_be_published_is_when_its_message_comes_again(
    app: Flask, published: list[Message], rows: Rows
) -> None:
    job_id = enqueue("sample", LEGS)
    first = rows[job_id].message_id

    with publishing(app, QSTASH_URL=NOBODY):
        answers = [deliver(job_id, message_id=first, retried=n) for n in (0, 1)]

    assert [answer.status_code for answer in answers] == [500, 503]
    assert [answer.headers["Retry-After"] for answer in answers] == ["5", "6"]
    assert rows[job_id].published_at is None
    assert deliver(job_id, message_id=first, retried=2).json == {
        "success": True,
        "skipped": "continued",
    }
    assert rows[job_id].message_id == f"msg_{job_id}-0-1-0"
    assert effects() == ["legs"]


def test_the_sweep_publishes_a_leg_whose_message_has_no_retries_left(
    app: Flask, published: list[Message], rows: Rows
) -> None:
    """Asked for another retry, QStash would take the message for a failed one."""
    job_id = enqueue("sample", LEGS, retries=0)
    with publishing(app, QSTASH_URL=NOBODY):
        assert deliver(job_id).json == {"success": True, "continued": 1}

    assert sweep.sweep(grace=0).published == 1
    assert rows[job_id].message_id == f"msg_{job_id}-0-1-0"


def test_the_end_of_an_older_legs_message_means_nothing(
    client: FlaskClient, published: list[Message], rows: Rows
) -> None:
    """The process died between the commit and its answer, at QStash's last try."""
    callback = "https://app.example.com/failed"
    job_id = enqueue("sample", LEGS, failure_callback=callback)
    first = rows[job_id].message_id
    deliver(job_id, message_id=first)

    told = call_back(client, report(rows[job_id].payload, str(first)), f"?forward={callback}")

    assert told.json["changed"] is False  # type: ignore[index]
    assert rows[job_id].status == Status.PENDING


def test_a_job_that_is_cancelled_meanwhile_does_not_go_on(
    published: list[Message], script: list[Callable[[Job], Any]], rows: Rows
) -> None:
    def cancelled(job: Job) -> None:
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE job_executions SET cancelled_at = now()"))
        raise Continue({"n": job.leg})

    script.append(cancelled)
    job_id = enqueue("scripted-legs", LEGS)

    assert deliver(job_id).json == {"success": True, "skipped": "cancelled"}
    assert rows[job_id].status == Status.CANCELLED
    assert len(published) == 1


def test_a_lost_leg_is_rescued_from_its_checkpoint(published: list[Message], rows: Rows) -> None:
    """However many legs were lost before it: the job has come further since."""
    job_id = enqueue("sample", LEGS, retries=0)
    deliver(job_id)
    lost = [{"number": 1, "leg": 1, "outcome": "lost"}] * 5
    rows.set(job_id, status="processing", lease_expires_at=text("now()"), attempts=lost)

    report = sweep.sweep(grace=0)

    assert (report.rescued, report.abandoned) == (0, 1)  # retries=0: one loss at this leg is enough
    rows.set(job_id, status="processing", dead_at=None, attempts=lost, max_retries=1)
    rows.set(job_id, lease_expires_at=text("now()"))
    assert sweep.sweep(grace=0).rescued == 1
    assert (rows[job_id].legs, rows[job_id].attempts[-1]["leg"]) == (1, 2)


def test_a_manual_retry_starts_from_the_beginning(published: list[Message], rows: Rows) -> None:
    job_id = enqueue("sample", LEGS)
    deliver(job_id)
    actions.cancel(Filter(job_ids=(job_id,)), by="test")

    actions.retry(Filter(job_ids=(job_id,)), by="test")

    assert (rows[job_id].legs, rows[job_id].checkpoint) == (0, None)
    assert deduplication_id(published[-1]) == f"{job_id}-1-0-0"


def test_a_leg_that_gets_nowhere_is_dead_at_once(published: list[Message], rows: Rows) -> None:
    job_id = enqueue("sample", {"action": "stuck"})

    assert [one.answer.status_code for one in drain()] == [200, 489]
    assert "the job would never end" in (rows[job_id].error or "")
    assert effects() == ["stuck"]


def test_there_is_an_end_to_legs(app: Flask, published: list[Message], rows: Rows) -> None:
    app.config["JOBS_MAX_LEGS"] = 2
    job_id = enqueue("sample", LEGS)

    assert [one.answer.status_code for one in drain()] == [200, 489]
    assert "asked to continue after leg 2, and JOBS_MAX_LEGS" in (rows[job_id].error or "")


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ([1], "takes a dict of JSON values, not list"),
        ({"at": object()}, "cannot be stored as JSON"),
        ({"at": float("nan")}, "cannot be stored as JSON"),
        ({"at": "x" * 65_536}, "has 65545 bytes, more than 65536"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused(
    published: list[Message],
    script: list[Callable[[Job], Any]],
    rows: Rows,
    state: Any,
    why: str,
) -> None:
    script.append(going_on(state))
    job_id = enqueue("scripted-legs", LEGS)

    assert deliver(job_id).status_code == 489
    assert why in (rows[job_id].error or "")
    assert effects() == []


def test_work_that_cannot_be_committed_fails_the_leg(
    published: list[Message], script: list[Callable[[Job], Any]], rows: Rows
) -> None:
    def broken(_: Job) -> None:
        for _n in range(2):
            db.session.add(Effect(id=-1, job_id="x", note="twice"))
        raise Continue({"n": 1})

    script.append(broken)
    job_id = enqueue("scripted-legs", LEGS)

    assert deliver(job_id).status_code == 500
    assert (rows[job_id].legs, rows[job_id].status, effects()) == (0, "failed", [])


def test_a_handler_run_by_hand_goes_on_by_itself(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "run", "sample", '{"action": "legs", "count": 3}'])

    assert result.exit_code == 0, result.output
    assert effects() == ["legs", "legs 2", "legs 3"]
    stuck = cli.invoke(args=["jobs", "run", "sample", '{"action": "stuck"}'])
    assert (stuck.exit_code, "would never end" in stuck.stderr) == (1, True)


def test_every_leg_can_be_tried_for_idempotence(app: Flask) -> None:
    assert_idempotent("sample", LEGS)

    assert effects() == ["legs", "legs 2", "legs 3"]


def test_a_later_leg_that_is_not_idempotent_is_found(script: list[Callable[[Job], Any]]) -> None:
    def careless(_: Job) -> None:
        db.session.commit()

    script += [going_on({"n": 1})] * 2 + [careless] * 2
    with pytest.raises(AssertionError, match="effects: 1 too many"):
        assert_idempotent("scripted-legs", LEGS)
