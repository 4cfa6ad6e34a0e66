"""Schedules with rules: firings that overlap, are put off, come too late or were missed."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from app.db import db
from app.jobs import InvalidOption, JobExecution, enqueue, schedule
from app.jobs import testing as job_testing
from app.jobs.operate import health, schedule_actions
from app.jobs.operate.waiting import reasons
from app.jobs.recover import given_up, sweep
from app.jobs.recover.given_up import GivenUpMessage
from app.jobs.table.firing_models import JobFiring, JobSchedule
from app.jobs.table.marks import FIRING, Mark
from tests.support.qstash import BASE_URL, claims_for, token
from tests.support.qstash import deliver as post
from tests.support.rows import change_row, row_of
from tests.support.unique_jobs import bp as unique_jobs
from tests.support.waiting import wait_until

HOURLY = "0 * * * *"
NAME = "hourly"
Fire = Callable[..., TestResponse]


def hours_ago(hours: int) -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


@pytest.fixture
def fire(client: FlaskClient, qstash: QStash) -> Fire:
    """Deliver a firing of the schedule as QStash does, of so many hours ago."""

    def fire(hours: int = 0, message: str | None = None, **headers: str) -> TestResponse:
        body = (qstash.schedule.get(NAME).body or "").encode()
        claims = claims_for(body, f"{BASE_URL}/api/jobs/sample")
        claims |= {"iat": int(hours_ago(hours).timestamp()) + 1}
        sent = {"upstash_schedule_id": NAME, "upstash_message_id": message or f"msg_{hours}"}
        return post(client, body, signature=token(claims), **{**sent, **headers})

    return fire


def runs() -> list[JobExecution]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution).order_by(JobExecution.id)))


def firings() -> list[tuple[int, str, str | None]]:
    """Return what became of each firing: how many hours ago, and why."""
    db.session.rollback()
    rows = db.session.scalars(select(JobFiring).order_by(JobFiring.scheduled_for))
    return [
        (round((hours_ago(0) - row.scheduled_for).total_seconds() / 3600), row.outcome, row.reason)
        for row in rows
    ]


def every_hour(action: str = "none", **rules: Any) -> str:
    return schedule("sample", HOURLY, {"action": action}, schedule_id=NAME, **rules)


def test_without_rules_firings_overlap_and_leave_nothing_but_their_jobs(
    app: Flask, fire: Fire
) -> None:
    every_hour("fail")

    assert [fire(1).status_code, fire(0).status_code] == [500, 500]

    assert [row.scheduled_for for row in runs()] == [hours_ago(1), hours_ago(0)]
    assert firings() == []


def test_a_firing_is_skipped_while_the_one_before_waits(app: Flask, fire: Fire) -> None:
    every_hour("fail", overlap="skip")
    fire(2)

    answers = [fire(1), fire(1)]

    (first,) = runs()
    assert [(answer.status_code, answer.json) for answer in answers] == [
        (200, {"success": True, "skipped": "overlap"}),
        (200, {"success": True, "skipped": "deleted"}),
    ]
    reason = f"job {first.job_id} of {hours_ago(2):%Y-%m-%d %H:%M} UTC waits still"
    assert firings() == [(2, "fired", None), (1, "skipped", reason)]


@pytest.mark.parametrize("end", ["completed", "dead", "cancelled", "deleted"])
def test_the_end_of_the_run_before_frees_the_schedule(app: Flask, fire: Fire, end: str) -> None:
    every_hour("fail", overlap="skip")
    fire(2)
    (first,) = runs()
    match end:
        case "deleted":
            db.session.execute(text("DELETE FROM job_executions"))
            db.session.commit()
        case "dead":
            change_row(first.job_id, dead_at=text("now()"))
        case _:
            change_row(first.job_id, status=end)

    assert fire(1).status_code == 500

    assert [outcome for _, outcome, _ in firings()] == ["fired", "fired"]


def test_a_firing_waits_for_the_one_before_and_then_runs(app: Flask, fire: Fire) -> None:
    every_hour(overlap="queue", retries=1)
    fire(3)
    (first,) = runs()
    change_row(first.job_id, status="failed", completed_at=None)

    answers = [fire(2).json, fire(1).json]

    assert answers == [{"success": True, "skipped": "deferred"}] * 2
    waiting = runs()[1:]
    assert [(row.status, row.pause, row.message_id) for row in waiting] == [
        ("pending", f"schedule:{NAME}", None)
    ] * 2
    assert [outcome for _, outcome, _ in firings()] == ["fired"] * 3
    counted = health.check().snapshot
    assert (counted.paused, counted.following) == (0, 2)

    sweep.sweep(grace=0)
    assert [row.published_at for row in runs()[1:]] == [None, None]
    said = f"the run of schedule {NAME} before it has to end first"
    assert reasons(runs()[1:]) == {row.job_id: said for row in runs()[1:]}

    change_row(first.job_id, status="completed", completed_at=text("now()"))
    sweep.sweep(grace=0)
    second, third = runs()[1:]
    assert (second.pause, second.published_at is None) == (None, False)
    assert (third.pause, third.published_at) == (f"schedule:{NAME}", None)


def test_its_end_publishes_the_next_without_a_sweep(
    app: Flask, fire: Fire, client: FlaskClient
) -> None:
    every_hour("fail-twice", overlap="queue")
    fire(3)
    fire(2)

    fire(3, upstash_retried="1")
    assert runs()[1].published_at is None
    fire(3, upstash_retried="2")

    first, second = runs()
    assert first.status == "completed"
    assert second.published_at is not None
    assert (second.reschedules, second.put_backs) == (1, 1)
    assert deliver_row(client, second).json == {"error": "ConnectionError", "jobId": second.job_id}
    assert row_of(second.job_id).scheduled_for == hours_ago(2)


def deliver_row(client: FlaskClient, row: JobExecution) -> TestResponse:
    """Deliver the message that the app has published for a job."""
    return post(client, row.payload, upstash_message_id=str(row.message_id))


def test_only_ten_wait_and_the_others_are_skipped_with_the_reason(app: Flask, fire: Fire) -> None:
    every_hour("fail", overlap="queue")

    for hours in range(20, 7, -1):
        fire(hours)

    assert len(runs()) == 11
    assert [outcome for _, outcome, _ in firings()] == ["fired"] * 11 + ["skipped"] * 2
    assert str(firings()[-1][2]).endswith("waits still, and 10 firings wait for their turn already")


@pytest.mark.parametrize(("overlap", "jobs"), [("skip", 1), ("queue", 2)])
def test_of_two_firings_at_once_one_runs(app: Flask, fire: Fire, overlap: str, jobs: int) -> None:
    """Each on a connection of its own; whoever comes second sees the first."""
    every_hour("fail", overlap=overlap)
    fire(30)
    db.session.execute(text("DELETE FROM job_executions"))
    db.session.commit()
    barrier, answers = Barrier(2), []

    def one(hours: int) -> None:
        barrier.wait()
        with app.app_context():
            answers.append(fire(hours).status_code)

    threads = [Thread(target=one, args=(hours,)) for hours in (2, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 500]
    assert [row.status for row in runs()].count("failed") == 1
    assert len(runs()) == jobs


def test_jitter_puts_each_firing_off_by_its_own_time_always_the_same(
    app: Flask, fire: Fire, client: FlaskClient, qstash: QStash
) -> None:
    every_hour("echo", jitter="59m")
    fire(0)
    (row,) = runs()
    if row.status == "completed":  # it was put off by less than has passed of this hour
        pytest.skip("the hour is nearly over")

    again = fire(0)

    offset = (row.available_at or hours_ago(0)) - hours_ago(0)
    assert timedelta(0) < offset <= timedelta(minutes=59)
    assert again.json == {"success": True, "skipped": "handed over"}
    assert row.published_at is not None
    assert row.available_at is not None
    message = qstash.message.get(str(row_of(row.job_id).message_id))
    assert abs(message.not_before / 1000 - row.available_at.timestamp()) < 2
    assert deliver_row(client, row_of(row.job_id)).status_code == 200
    done = row_of(row.job_id)
    assert (done.status, done.scheduled_for, done.schedule_id) == (
        "completed",
        hours_ago(0),
        NAME,
    )


def missed(hours: int) -> None:
    """Have the schedule be known for so many hours."""
    db.session.execute(
        text("UPDATE job_schedules SET accounted_until = :at"),
        {"at": hours_ago(hours) - timedelta(minutes=30)},
    )
    db.session.commit()


@pytest.fixture
def made_long_ago(app: Flask, qstash: QStash, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have QStash say that its schedules are old; the clock of its server cannot be set."""
    publisher = app.extensions["jobs"].publisher
    ask = publisher.call

    def asked(question: Any) -> Any:
        found = ask(question)
        for one in found if isinstance(found, list) else []:
            one.created_at = 0
        return found

    monkeypatch.setattr(publisher, "call", asked)


def swept() -> int:
    return sweep.sweep(grace=0).caught_up


@pytest.mark.usefixtures("made_long_ago")
def test_all_that_was_missed_is_made_up_for_each_once(app: Flask, fire: Fire) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour("echo", catch_up="all")
    missed(4)
    fire(3)

    assert [swept(), swept()] == [4, 0]

    _, *made_up = runs()
    assert [row.scheduled_for for row in made_up] == [hours_ago(hours) for hours in (4, 2, 1, 0)]
    assert [row.published_at is not None for row in made_up] == [True] * 4
    assert [outcome for _, outcome, _ in firings()] == ["caught up", "fired", *["caught up"] * 3]
    job_testing.deliver(made_up[0].job_id)
    done = row_of(made_up[0].job_id)
    assert (done.status, done.scheduled_for, done.schedule_id) == ("completed", hours_ago(4), NAME)
    # QStash brings it after all.
    late = fire(2, retried_by="QStash")
    assert late.json == {"success": True, "skipped": "caught up"}
    assert len(runs()) == 5


@pytest.mark.usefixtures("made_long_ago")
def test_the_last_that_was_missed_stands_for_all_of_them(app: Flask, fire: Fire) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="last")
    missed(3)

    assert [swept(), swept()] == [1, 0]

    (made_up,) = runs()
    assert made_up.scheduled_for == hours_ago(0)
    why = "QStash did not bring it"
    assert firings() == [
        *((hours, "missed", why) for hours in (3, 2, 1)),
        (0, "caught up", None),
    ]
    assert fire(1).json == {"success": True, "skipped": "missed"}


@pytest.mark.usefixtures("made_long_ago")
def test_two_sweeps_at_once_make_up_once(app: Flask, qstash: QStash) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all")
    missed(5)
    barrier, counts = Barrier(2), []

    def one() -> None:
        with app.app_context():
            barrier.wait()
            counts.append(swept())

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 6
    assert len(runs()) == 6


@pytest.mark.usefixtures("made_long_ago")
def test_of_more_than_a_hundred_the_latest_are_made_up_for(app: Flask, qstash: QStash) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all")
    missed(110)

    assert swept() == 100

    assert [outcome for _, outcome, _ in firings()] == ["missed"] * 11 + ["caught up"] * 100


@pytest.mark.usefixtures("made_long_ago")
def test_what_is_made_up_for_waits_for_its_turn(app: Flask, qstash: QStash) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all", overlap="queue")
    missed(2)

    swept()

    assert [row.published_at is not None for row in runs()] == [True, False, False]


@pytest.mark.usefixtures("made_long_ago")
def test_what_is_made_up_for_takes_no_room_from_firings_that_wait(app: Flask, fire: Fire) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 3600
    every_hour(catch_up="all", overlap="queue")
    missed(14)
    assert swept() >= 13

    assert fire(0).json == {"success": True, "skipped": "deferred"}

    assert firings()[-1] == (0, "fired", None)
    assert runs()[-1].pause == f"schedule:{NAME}"


@pytest.mark.usefixtures("made_long_ago")
def test_what_is_made_up_for_has_the_tags_of_its_schedule(app: Flask, qstash: QStash) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="last", tags=["weekly"])
    missed(1)

    swept()

    assert [row.tags for row in runs()] == [["weekly"]]


@pytest.mark.usefixtures("made_long_ago")
def test_what_is_made_up_for_is_unique_as_its_type_is(app: Flask, qstash: QStash) -> None:
    app.register_blueprint(unique_jobs)
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    schedule("one", HOURLY, {"action": "none"}, schedule_id=NAME, catch_up="all")
    missed(2)

    assert swept() == 1

    (first,) = runs()
    reason = f"no job makes up for it, as job {first.job_id} does the same, and has not ended"
    assert firings() == [(2, "caught up", None), (1, "missed", reason), (0, "missed", reason)]
    assert enqueue("one", {"action": "none"}) == first.job_id


@pytest.mark.usefixtures("made_long_ago")
def test_nothing_is_made_up_for_where_a_run_before_is_not_over(app: Flask, fire: Fire) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour("fail", catch_up="last", overlap="skip")
    fire(3)
    missed(2)

    assert [swept(), swept()] == [0, 0]

    assert [outcome for _, outcome, _ in firings()] == ["fired", "missed", "missed", "missed"]
    assert len(runs()) == 1


@pytest.mark.usefixtures("made_long_ago")
@pytest.mark.parametrize("change", ["paused", "deleted", "cron", "rules"])
def test_what_is_at_qstash_no_more_was_not_missed(app: Flask, qstash: QStash, change: str) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all")
    missed(3)
    known = db.session.scalars(select(JobSchedule)).one().accounted_until
    match change:
        case "paused":
            qstash.schedule.pause(NAME)
        case "deleted":
            qstash.schedule.delete(NAME)
        case "cron":
            schedule("sample", "30 * * * *", {"action": "none"}, schedule_id=NAME, catch_up="all")
        case "rules":
            every_hour()

    assert swept() == 0

    db.session.rollback()
    left = db.session.scalars(select(JobSchedule)).one_or_none()
    if change in {"deleted", "rules"}:
        assert left is None
    else:
        assert left is not None
        assert left.accounted_until > known + timedelta(hours=3)
    assert runs() == []


@pytest.mark.usefixtures("made_long_ago")
def test_what_was_due_while_a_person_had_it_paused_was_not_missed(
    app: Flask, qstash: QStash
) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all")
    schedule_actions.pause(schedule_actions.find_schedule(NAME), by="test")
    missed(3)
    schedule_actions.resume(schedule_actions.find_schedule(NAME), by="test")

    assert swept() == 0


def test_nothing_from_before_the_schedule_was_made_was_missed(app: Flask, qstash: QStash) -> None:
    app.config["JOBS_HEALTH_OVERDUE"] = 0
    every_hour(catch_up="all")
    assert swept() == 0
    missed(3)  # whatever we think: QStash made it a moment ago

    assert swept() == 0


@pytest.mark.usefixtures("made_long_ago")
def test_a_firing_that_qstash_gave_up_is_made_up_for_and_not_dead(
    app: Flask, fire: Fire, qstash: QStash
) -> None:
    every_hour(catch_up="last")
    body = qstash.schedule.get(NAME).body or ""
    letter = given_up_message(body)

    assert sweep.take_over(letter) is False

    assert runs() == []


def given_up_message(body: str) -> GivenUpMessage:
    """Return the message of a firing that never got here, as the dead-letter queue has it."""
    report = {
        "sourceMessageId": "msg_lost",
        "scheduleId": NAME,
        "status": 0,
        "sourceBody": b64encode(body.encode()).decode(),
    }
    return given_up.from_callback(json.dumps(report).encode(), None)


def test_a_firing_that_comes_later_than_it_may_does_not_run(app: Flask, fire: Fire) -> None:
    every_hour(expires="2h")

    fire(3)
    fire(0)

    assert [(row.status, row.error) for row in runs()] == [
        ("cancelled", "it came later than `expires` allows, and was not run"),
        ("completed", None),
    ]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"overlap": "skp"}, "overlap: 'skp' is none; did you mean: skip?"),
        ({"overlap": None}, "overlap: None is none; known: allow, skip, queue"),
        ({"catch_up": "latest"}, "catch_up: 'latest' is none; did you mean: last?"),
        ({"jitter": "soon"}, "jitter: 'soon' is not a duration"),
        ({"jitter": 0}, "jitter: 0 is too short"),
        ({"max_instances": 1}, "did you mean: overlap, an argument of `schedule`"),
        ({"idempotency_key": "x"}, "did you mean: idempotency_key, an argument of `enqueue`"),
        ({"jitter": "1h"}, "jitter: 3600 s are not less than the 3600 s between two firings"),
        ({"jitter": "5m", "queue": "mail"}, "jitter: QStash's queues know no delay"),
        ({"overlap": "skip", "catch_up": "all"}, 'catch_up: with overlap="skip" all but one'),
        ({"expires": "1h", "catch_up": "last"}, "catch_up: what is made up for comes late"),
        ({"expires": datetime.now(UTC)}, "expires: a schedule has many firings"),
    ],
)
def test_rules_that_cannot_hold_are_refused_in_a_sentence(
    app: Flask, qstash: QStash, rules: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidOption) as refused:
        every_hour(**rules)

    assert said in str(refused.value)
    assert qstash.schedule.list() == []
    db.session.rollback()
    assert db.session.scalars(select(JobSchedule)).all() == []


def test_an_interval_has_no_moments_to_make_up_for(app: Flask, qstash: QStash) -> None:
    with pytest.raises(InvalidOption, match="catch_up: only QStash knows when an @every is due"):
        schedule("sample", "@every 90m", {"action": "none"}, catch_up="last")


def test_a_firing_that_two_messages_bring_is_noted_as_what_the_first_did(
    app: Flask, fire: Fire
) -> None:
    every_hour("fail", overlap="skip")
    fire(1, "msg_one")
    (first,) = runs()

    assert fire(1, "msg_two").json == {"success": True, "skipped": "overlap"}

    assert firings() == [(1, "fired", None)]
    change_row(first.job_id, status="completed")
    assert fire(0, "msg_three").status_code == 500
    assert fire(0, "msg_four").json == {"success": True, "skipped": "overlap"}
    assert [outcome for _, outcome, _ in firings()] == ["fired", "fired"]


def test_through_the_real_server_no_run_meets_another(app: Flask, live_qstash: QStash) -> None:
    """Its clock runs a thousand times as fast, so a firing comes while the one before runs."""
    name = schedule("sample", "* * * * *", {"action": "slow-query"}, overlap="skip", retries=0)
    wait_until(
        lambda: (
            [outcome for _, outcome, _ in firings()].count("fired") > 0
            and mark_of(name) is not None
        ),
        "a firing that is skipped",
    )
    live_qstash.schedule.delete(name)
    wait_until(lambda: all(row.is_final for row in runs()), "the end of the last run")

    spans = sorted((row.started_at, row.completed_at) for row in runs())
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))  # type: ignore[operator]  # they have ended
    assert {row.schedule_id for row in runs()} == {name}


def mark_of(schedule_id: str) -> Mark | None:
    """Return when a firing of the schedule last left no row."""
    db.session.rollback()
    return db.session.get(Mark, f"{FIRING}{schedule_id}")
