"""`flask jobs schedules` and `dlq`: what is kept at QStash."""

import json
from typing import Any

import pytest
from flask.testing import FlaskCliRunner
from qstash import QStash

from app.jobs import enqueue, schedule
from tests.support.rows import Rows
from tests.support.waiting import wait_until

NIGHTLY = "nightly"


def invoke(cli: FlaskCliRunner, *args: str) -> Any:
    result = cli.invoke(args=["jobs", *args])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in args else result.output


@pytest.fixture
def nightly(qstash: QStash) -> None:
    payload = {"action": "echo", "count": 3}
    schedule("sample", "30 3 * * *", payload, schedule_id=NIGHTLY, timezone="Europe/Berlin")


def test_a_schedule_is_told_in_words(cli: FlaskCliRunner, nightly: None) -> None:
    out = invoke(cli, "schedules", "list")

    assert "At 03:30 every day, Europe/Berlin" in out
    assert "next: " in out
    assert len(invoke(cli, "schedules", "list", "--json")[0]["next"]) == 3


def test_a_schedule_is_paused_resumed_and_deleted(
    cli: FlaskCliRunner, qstash: QStash, nightly: None
) -> None:
    for command, paused in (("pause", True), ("resume", False)):
        invoke(cli, "schedules", command, NIGHTLY)
        assert qstash.schedule.get(NIGHTLY).paused == paused

    assert cli.invoke(args=["jobs", "schedules", "delete", NIGHTLY]).exit_code == 2
    invoke(cli, "schedules", "delete", NIGHTLY, "--yes")
    assert qstash.schedule.list() == []


def test_a_schedule_is_run_now(cli: FlaskCliRunner, rows: Rows, nightly: None) -> None:
    job_id = invoke(cli, "schedules", "run", NIGHTLY, "--json")["job_id"]

    assert rows[job_id].payload["payload"] == {"action": "echo", "count": 3}
    assert rows[job_id].message_id is not None


def test_a_schedule_with_a_sealed_field_is_run_now(
    cli: FlaskCliRunner, rows: Rows, qstash: QStash
) -> None:
    data = {"recipientName": "Ann", "resetUrl": "https://app.example.com/reset?token=s3cret"}
    payload = {"to": "ann@example.com", "template": "passwordReset", "data": data}
    schedule("send-email", "0 0 * * *", payload, schedule_id=NIGHTLY)

    job_id = invoke(cli, "schedules", "run", NIGHTLY, "--json")["job_id"]

    assert "s3cret" not in json.dumps(rows[job_id].payload)
    assert rows[job_id].payload["sealed"] == ["data.resetUrl"]


def test_the_maintenance_is_run_now(cli: FlaskCliRunner, qstash: QStash) -> None:
    invoke(cli, "schedules", "sync")

    assert "Sweep finished" in invoke(cli, "schedules", "run", "code.jobs-maintenance")


@pytest.fixture
def dead(live_qstash: QStash) -> str:
    """The id of a job that QStash gave up."""
    job_id = enqueue("sample", {"action": "permanent"}, retries=0)
    wait_until(lambda: live_qstash.dlq.list().messages, "a dead letter")
    return job_id


def test_a_dead_letter_is_listed_and_delivered_again(
    cli: FlaskCliRunner, rows: Rows, dead: str
) -> None:
    (letter,) = invoke(cli, "dlq", "list", "--json")
    assert (letter["job_id"], letter["job_type"]) == (dead, "sample")
    assert "the last was answered 489" in invoke(cli, "dlq", "list")
    assert dead in invoke(cli, "dlq", "list", "--type", "sample")

    assert invoke(cli, "dlq", "retry", letter["dlq_id"], "--json")["count"] == 1

    wait_until(lambda: len(rows[dead].attempts) == 2, "the second delivery")


def test_dead_letters_are_deleted_by_type(
    cli: FlaskCliRunner, live_qstash: QStash, dead: str
) -> None:
    assert "0 dead letters" in invoke(cli, "dlq", "delete", "--type", "noop", "--yes")
    refused = cli.invoke(args=["jobs", "dlq", "delete", "--type", "sample"])
    assert (refused.exit_code, "Delete 1 dead letter?" in refused.stderr) == (2, True)

    assert "1 dead letter" in invoke(cli, "dlq", "delete", "--all", "--yes")
    assert live_qstash.dlq.list().messages == []


@pytest.mark.parametrize("dlq_id", ["", "..", "1-0"])
def test_a_letter_that_is_not_there_deletes_no_other(
    cli: FlaskCliRunner, live_qstash: QStash, dead: str, dlq_id: str
) -> None:
    result = cli.invoke(args=["jobs", "dlq", "delete", dlq_id, "--yes"])

    assert (result.exit_code, "do not exist" in result.stderr) == (1, True)
    assert len(live_qstash.dlq.list().messages) == 1


def test_a_job_type_is_paused_and_resumed(cli: FlaskCliRunner, rows: Rows, qstash: QStash) -> None:
    why = ("--reason", "Resend is down", "--by", "ana")
    assert cli.invoke(args=["jobs", "pause", "sample", *why]).exit_code == 2  # no terminal
    assert "Paused type sample; waiting by now: 0" in invoke(cli, "pause", "sample", *why, "--yes")

    job_id = enqueue("sample", {"action": "none"})
    enqueued = cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}'])
    assert "Not published yet: paused by ana: Resend is down" in enqueued.stderr
    assert "waits   paused by ana: Resend is down" in invoke(cli, "show", job_id)
    assert "Resend is down" in invoke(cli, "list")
    listed = invoke(cli, "paused", "--json")
    assert [(one["kind"], one["name"], one["by"], one["waiting"]) for one in listed] == [
        ("type", "sample", "ana", 2)
    ]
    assert "type    sample  2" in invoke(cli, "paused")
    assert "type sample is paused by ana" in invoke(cli, "health")

    assert cli.invoke(args=["jobs", "resume", "sample"]).exit_code == 2
    assert "Resumed type sample; published 2 jobs" in invoke(cli, "resume", "sample", "--yes")
    assert rows[job_id].published_at is not None
    assert invoke(cli, "paused") == "Nothing is paused.\n"


def test_what_is_paused_is_named_once(cli: FlaskCliRunner) -> None:
    for given, said in {
        (): "nothing named: give one job type, or one of --queue, --key and --organization",
        ("sample", "--queue", "mail"): "several things named",
        ("--organization", "x"): "organization: ",
    }.items():
        refused = cli.invoke(args=["jobs", "pause", *given, "--reason", "why", "--yes"])
        assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert cli.invoke(args=["jobs", "resume", "sample"]).exit_code == 2
