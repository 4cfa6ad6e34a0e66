"""Actions on more jobs than one request changes: a job works them off, batch by batch."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from qstash import QStash
from sqlalchemy import func, select, text

from app.dashboard import Role, User
from app.db import db
from app.jobs import JobExecution
from app.jobs.operate import audit, operations
from app.jobs.testing import deliver
from tests.support.rows import add_row, change_row, row_of

from .pages import PREFIX, Reader, text_of


def add_many(count: int, values: str = "'failed', now()", columns: str = "status, dead_at") -> None:
    """Insert so many jobs; every value is SQL."""
    db.session.execute(
        text(
            f"INSERT INTO job_executions (job_id, job_type, payload, {columns})"  # noqa: S608 - the tests' own
            f" SELECT 'j' || n, 'sample', '{{\"payload\": {{}}}}', {values}"
            f" FROM generate_series(1, {count}) AS n"
        )
    )
    db.session.commit()


def begin(reader: Reader, **form: Any) -> int:
    """Ask for an operation as a page's form does, and return its id."""
    answer = reader.send("/act", form)
    found = re.fullmatch(f"{PREFIX}/operations/([0-9]+)", answer.location)
    assert found, answer.location
    return int(found[1])


def work_off(operation_id: int) -> list[int]:
    """Deliver the job of an operation until it ends, and return the statuses of its answers."""
    statuses = []
    job_id = str(operation(operation_id).job_id)
    while not row_of(job_id).is_final:
        statuses.append(deliver(job_id).status_code)
    return statuses


def operation(operation_id: int) -> Any:
    db.session.rollback()
    found = operations.find(operation_id)
    assert found
    return found


def by_generation() -> dict[int, int]:
    db.session.rollback()
    query = select(JobExecution.generation, func.count()).where(JobExecution.job_type == "sample")
    rows = db.session.execute(query.group_by(JobExecution.generation)).all()
    return {generation: count for generation, count in rows}  # noqa: C416 - rows are no pairs to mypy


def test_ten_thousand_are_retried_with_progress_a_stop_and_another_process_going_on(
    reader: Reader,
) -> None:
    """QStash is away, so that this takes seconds: all of them wait for the sweep."""
    add_many(10_000)
    form = {"action": "retry", "which": "matching", "state": "dead"}
    asked = text_of(reader.send("/preview", form))
    assert "This changes 10,000 jobs" in asked
    assert "A job does it in batches" in asked

    made = begin(reader, **form, typed="10,000")
    first = operations.work(made)
    next(first), next(first)
    shown = text_of(reader.get(f"/operations/{made}"))
    reader.send("/operations/stop", {"id": made}, at=f"/operations/{made}")
    assert list(first) == []

    assert "running 1,000 of 10,000 jobs · 10 %" in shown
    assert by_generation() == {0: 9_000, 1: 1_000}
    stopped = text_of(reader.get(f"/operations/{made}"))
    assert "stopped 1,000 of 10,000 jobs" in stopped
    reader.send("/operations/resume", {"id": made}, at=f"/operations/{made}")
    assert set(work_off(made)) == {200}
    assert by_generation() == {1: 10_000}
    assert "done 10,000 of 10,000 jobs · 100 %" in text_of(reader.get(f"/operations/{made}"))
    on_record = {one.action: one.job_count for one in audit.entries(limit=9)}
    assert on_record == {"operation resume": 0, "operation stop": 0, "retry": 10_000}
    assert operation(made).waiting == 10_000


def test_of_more_than_anybody_counts_the_job_finds_out_how_many_there_are(
    reader: Reader, qstash: QStash
) -> None:
    add_many(10_001, "'completed', now()", "status, completed_at")
    form = {"action": "delete", "which": "matching", "state": "completed"}

    assert "This changes more than 10,000 jobs" in text_of(reader.send("/preview", form))
    reader.send("/act", form)
    refused = text_of(reader.get("/jobs"))
    made = begin(reader, **form, typed="all")
    next(operations.work(made))

    assert "Nothing was changed: these are more than the form said" in refused
    assert "500 of 10,001 jobs" in text_of(reader.get(f"/operations/{made}"))


def test_it_changes_the_jobs_that_there_were_and_not_its_own(
    reader: Reader, qstash: QStash
) -> None:
    add_many(501, "'pending', now()", "status, published_at")

    made = begin(reader, action="cancel", which="matching", typed="501")
    later = add_row(published_at=func.now())
    # The app's clock may be ahead of the database's.
    change_row(str(operation(made).job_id), created_at=datetime.now(UTC) - timedelta(hours=1))
    assert set(work_off(made)) == {200}

    assert operation(made).state == "done"
    assert operation(made).changed == 501
    assert row_of(later).status == "pending"
    assert row_of(str(operation(made).job_id)).status == "completed"


def test_what_ends_the_process_in_a_batch_takes_back_the_whole_batch(
    reader: Reader, qstash: QStash
) -> None:
    add_many(700)
    made = begin(reader, action="retry", which="matching", state="dead", typed="700")
    work = operations.work(made)
    next(work)

    # A row in the second batch that cannot be changed: its number would be too large.
    change_row("j700", generation=2_147_483_647)
    with pytest.raises(Exception, match="out of range"):
        next(work)
    assert operation(made).changed == 500
    assert by_generation() == {0: 199, 1: 500, 2147483647: 1}
    change_row("j700", generation=0)

    assert set(work_off(made)) == {200}
    assert by_generation() == {1: 700}
    assert next(one.job_count for one in audit.entries(limit=1)) == 700


def test_two_deliveries_at_once_change_each_job_once(reader: Reader, qstash: QStash) -> None:
    add_many(1_200)
    made = begin(reader, action="retry", which="matching", state="dead", typed="1200")

    one, other = operations.work(made), operations.work(made)
    positions = [next(work).changed for work in (one, other, one)]

    assert positions == [500, 1000, 1200]
    assert list(other) == list(one) == []
    assert by_generation() == {1: 1_200}
    waiting = select(func.count()).where(JobExecution.published_at.is_(None))
    assert (db.session.scalar(waiting), operation(made).waiting) == (0, 0)


def test_an_operation_whose_job_has_ended_says_so_and_goes_on(
    reader: Reader, qstash: QStash
) -> None:
    add_many(501)
    made = begin(reader, action="retry", which="matching", state="dead", typed="501")
    first = str(operation(made).job_id)
    reader.send("/cancel", {"job_id": first}, at=f"/job/{first}")

    assert "The job that works it off is cancelled." in text_of(reader.get(f"/operations/{made}"))
    reader.send("/operations/resume", {"id": made}, at=f"/operations/{made}")

    assert operation(made).job_id != first
    assert set(work_off(made)) == {200}
    assert operation(made).state == "done"
    reader.send("/operations/resume", {"id": made}, at=f"/job/{first}")
    assert "it is in another state by now" in text_of(reader.get("/jobs"))


def test_jobs_are_moved_to_another_queue_and_out_of_it_again(
    reader: Reader, qstash: QStash
) -> None:
    waits, other = add_row(published_at=func.now()), add_row(options={"flow_control": {"key": "k"}})
    started = add_row(started_at=func.now())
    form = {"action": "move", "which": "selected", "job_id": [waits, other, started]}

    assert "This changes 1 job of 3" in text_of(reader.send("/preview", form))
    reader.send("/act", {**form, "to_queue": "urgent"})

    assert "1 job moved." in text_of(reader.get("/jobs"))
    moved = row_of(waits)
    assert (moved.queue, moved.options["queue"]) == ("urgent", "urgent")
    message = qstash.message.get(str(moved.message_id))
    assert str(message.queue).endswith("urgent")
    assert [row_of(one).queue for one in (other, started)] == [None, None]
    reader.send("/act", {**form, "to_queue": ""})
    assert (row_of(waits).queue, "queue" in row_of(waits).options) == (None, False)
    assert qstash.message.get(str(row_of(waits).message_id)).queue is None
    answer = reader.send("/act", {**form, "to_queue": "no/such name"})
    assert answer.status_code == 400
    assert "queue" in text_of(answer)


def test_what_stays_in_its_state_is_changed_once(reader: Reader, qstash: QStash) -> None:
    add_many(501, "'pending', now()", "status, published_at")

    form = {"action": "move", "which": "matching", "type": "sample", "to_queue": "urgent"}
    made = begin(reader, **form, typed="501")
    assert set(work_off(made)) == {200}

    assert (operation(made).state, operation(made).changed) == ("done", 501)
    assert by_generation() == {1: 501}


def test_what_is_of_another_organization_is_none_of_theirs(
    app: Flask, client: FlaskClient, qstash: QStash
) -> None:
    app.config["JOBS_DASHBOARD"] = "auto"
    users = [User("ada", Role.OPERATOR, organization_id=1)]
    app.extensions["jobs.dashboard.ways"] = [lambda: users[-1]]
    reader = Reader(client)
    add_many(501, "'failed', now(), 1", "status, dead_at, organization_id")
    elsewhere = add_row(status="failed", dead_at=func.now(), organization_id=2)
    made = begin(reader, action="retry", which="matching", typed="501")

    assert set(work_off(made)) == {200}
    assert row_of(elsewhere).status == "failed"
    assert f"/operations/{made}" in reader.get("/operations").text
    users.append(User("bob", Role.OPERATOR, organization_id=2))
    assert f"/operations/{made}" not in reader.get("/operations").text
    assert reader.get(f"/operations/{made}").status_code == 404
    for action in ("stop", "resume"):
        answer = reader.send(f"/operations/{action}", {"id": made}, at=f"/job/{elsewhere}")
        assert answer.status_code == 404
    users.append(User("vera", Role.VIEWER))
    assert reader.client.post(f"{PREFIX}/operations/stop", data={"id": made}).status_code == 403


@pytest.mark.parametrize("given", ["", "x", "²", "99999999999999999999", "7"])
def test_an_operation_that_there_is_not_is_none(reader: Reader, given: str) -> None:
    at = f"/job/{add_row()}"

    assert reader.send("/operations/stop", {"id": given}, at=at).status_code == 404
    assert reader.get(f"/operations/{given or 'x'}").status_code == 404
