"""`flask jobs batches …`, and the link that shows a batch's progress to a user."""

import json
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from app.jobs import InvalidOption, Unique, batch, batch_status_url, workflow
from app.jobs.testing import deliver, drain
from tests.support.rows import row_of
from tests.support.sample_jobs import Sample, noop, sample

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def made() -> tuple[str, list[str]]:
    """A batch of which one job completed, one is dead and two wait; its id and theirs."""
    actions = ("none", "permanent", "none", "none")
    with batch("invoices", then=noop.s(Sample("none"))) as made:
        jobs = made.enqueue_many(sample.s(Sample(action)) for action in actions)
    deliver(jobs[0])
    deliver(jobs[1])
    return made.id, jobs


def test_it_lists_and_shows_batches(cli: FlaskCliRunner, made: tuple[str, list[str]]) -> None:
    batch_id, _ = made

    listed = cli.invoke(args=["jobs", "batches", "list"]).output
    assert listed.splitlines()[0].split() == ["ID", "NAME", "STATE", "JOBS", "DONE", "DEAD", "AGE"]
    assert listed.splitlines()[1].split()[:7] == [
        *(batch_id, "invoices", "running", "4", "50", "%", "1")
    ]
    shown = cli.invoke(args=["jobs", "batches", "show", batch_id[:8]]).output
    assert "1 completed, 2 waiting, 1 dead of 4" in shown
    as_json = json.loads(cli.invoke(args=["jobs", "batches", "list", "--json"]).output)
    assert (as_json[0]["id"], as_json[0]["completed"], as_json[0]["percent"]) == (batch_id, 1, 50)
    of_batch = cli.invoke(args=["jobs", "list", "--batch", batch_id, "--json"]).output
    assert len(json.loads(of_batch)["jobs"]) == 4


def test_it_cancels_what_has_not_begun(cli: FlaskCliRunner, made: tuple[str, list[str]]) -> None:
    batch_id, jobs = made

    done = cli.invoke(args=["jobs", "batches", "cancel", batch_id, "--yes"])

    assert done.output == "Cancelled 2 jobs\n"
    assert [row_of(job).status for job in jobs] == [
        *("completed", "failed", "cancelled", "cancelled")
    ]
    watched = cli.invoke(args=["jobs", "batches", "watch", batch_id])
    assert watched.exit_code == 1
    assert watched.output == "invoices: cancelled  100 %  1 completed, 1 dead, 2 cancelled of 4\n"
    again = cli.invoke(args=["jobs", "batches", "cancel", batch_id, "--yes"])
    assert again.exit_code == 2
    assert "the batch 'invoices' has ended (cancelled)" in again.stderr


def test_it_retries_the_dead(cli: FlaskCliRunner, made: tuple[str, list[str]]) -> None:
    batch_id, jobs = made
    drain()
    assert cli.invoke(args=["jobs", "batches", "list", "--state", "failed"]).output.count("\n") > 1

    done = cli.invoke(args=["jobs", "batches", "retry", batch_id])

    assert done.output == "Retried 1 job\n"
    assert row_of(jobs[1]).status == "pending"
    assert "running" in cli.invoke(args=["jobs", "batches", "show", batch_id]).output


def test_it_says_how_to_retry_what_was_cancelled(cli: FlaskCliRunner) -> None:
    with batch("invoices") as made:
        made.enqueue(sample.s(Sample("none")))
    assert cli.invoke(args=["jobs", "batches", "cancel", made.id, "--yes"]).exit_code == 0

    done = cli.invoke(args=["jobs", "batches", "retry", made.id])

    assert done.stdout == "Retried 0 jobs\n"
    said, command = done.stderr.strip().split(": flask ")
    assert said == "None of its jobs is dead; to retry what was cancelled"
    assert cli.invoke(args=[*command.split(), "--yes"]).exit_code == 0
    assert cli.invoke(args=["jobs", "batches", "retry", made.id]).stderr.strip() == (
        "None of its jobs is dead"
    )


@pytest.mark.parametrize("machine", [[], ["--json"]])
def test_it_says_why_it_retries_one_that_is_unique_not(
    cli: FlaskCliRunner, machine: list[str]
) -> None:
    rule = Unique(fields=("action",))
    with batch("invoices") as made:
        made.enqueue(sample.s(Sample("permanent"), unique=rule))
    drain()
    holder = sample.enqueue(Sample("permanent"), unique=rule)

    done = cli.invoke(args=["jobs", "batches", "retry", made.id, *machine])

    assert done.exit_code == 1
    assert f"job {holder} has its key by now" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("123", "'123' is not the id of a batch"),
        ("deadbeef", "no batch has the id deadbeef; `flask jobs batches list`"),
        ("01a226c7-d847-7262-8727-52084e5b46f3", "no batch has the id 01a226c7"),
        ("not hexadecimal", "is not the id of a batch"),
    ],
)
def test_an_id_of_no_batch_is_named(cli: FlaskCliRunner, given: str, said: str) -> None:
    result = cli.invoke(args=["jobs", "batches", "show", given])

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_link_shows_progress_to_who_has_it(
    client: FlaskClient, made: tuple[str, list[str]]
) -> None:
    batch_id, jobs = made
    url = batch_status_url(batch_id).removeprefix("https://app.example.com")

    found = client.get(url).json
    assert found
    assert {name: found[name] for name in ("batchId", "state", "percent", "jobs", "dead")} == {
        "batchId": batch_id,
        "state": "running",
        "percent": 50,
        "jobs": 4,
        "dead": 1,
    }
    assert found["steps"] == []
    path, _, token = url.partition("?")
    assert client.get(path).status_code == 403
    assert client.get(f"/api/jobs/{jobs[0]}?{token}").status_code == 403
    assert client.get(f"/api/batches/nothing?{token}").status_code == 403
    with pytest.raises(InvalidOption, match="is not the id of a batch"):
        batch_status_url("one")


def test_a_workflow_is_shown_with_a_line_for_each_step(
    cli: FlaskCliRunner, client: FlaskClient
) -> None:
    with workflow("pays") as made:
        made.add("ask", noop.s(Sample("none")))
        made.wait_for("invoice.paid", timeout="1d", after=["ask"])

    assert "pays" in cli.invoke(args=["jobs", "workflows", "list"]).output
    assert cli.invoke(args=["jobs", "batches", "list"]).output == "No batches.\n"
    shown = cli.invoke(args=["jobs", "workflows", "show", made.id]).output
    assert [line.split()[:2] for line in shown.splitlines()[-2:]] == [
        ["ask", "running"],
        ["invoice.paid", "waiting"],
    ]
    url = batch_status_url(made.id).removeprefix("https://app.example.com")
    assert (client.get(url).json or {})["steps"] == [
        {"name": "ask", "state": "running"},
        {"name": "invoice.paid", "state": "waiting"},
    ]
    shown = cli.invoke(args=["jobs", "workflows", "show", made.id, "--json"]).output
    as_json = json.loads(shown)
    assert [step["after"] for step in as_json["steps"]] == [[], ["ask"]]
    assert datetime.fromisoformat(as_json["created_at"]).tzinfo == UTC
    drain()
    assert "50 %" in cli.invoke(args=["jobs", "workflows", "show", made.id]).output
    cancelled = cli.invoke(args=["jobs", "workflows", "cancel", made.id, "--yes"])
    assert cancelled.output == "Cancelled 0 jobs\n"
    assert cli.invoke(args=["jobs", "workflows", "watch", made.id]).exit_code == 1
