"""`flask jobs …` as a person at a terminal, or a script, meets it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select, update

from app.db import db
from app.jobs import JobExecution, enqueue
from app.jobs.publish.background import BackgroundPublisher
from tests.support.sample_jobs import Effect


def enqueued() -> str:
    return enqueue("sample", {"action": "none"}, user_id=7)


def set_status(job_id: str, **values: object) -> None:
    db.session.execute(update(JobExecution).where(JobExecution.job_id == job_id).values(**values))
    db.session.commit()


def test_types_lists_what_was_found(cli: FlaskCliRunner) -> None:
    out = cli.invoke(args=["jobs", "types"]).output

    assert re.search(r"send-email +/api/jobs/email +3 +30 s +Send transactional emails", out)
    names = [job["type"] for job in json.loads(cli.invoke(args=["jobs", "types", "--json"]).output)]
    assert names == sorted(names)
    assert {"beating", "noop", "sample", "send-email"} <= set(names)


def test_enqueue_takes_json_or_a_file(cli: FlaskCliRunner, app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"action": "none"}')

    for payload in ('{"action": "none"}', f"@{file}"):
        result = cli.invoke(args=["jobs", "enqueue", "sample", payload, "--delay", "1m"])
        job_id = result.output.splitlines()[0]
        assert result.exit_code == 0
        assert f"flask jobs watch {job_id}" in result.output
        assert f"Not published yet: QSTASH_URL={app.config['QSTASH_URL']} did not" in result.output
    piped = cli.invoke(args=["jobs", "enqueue", "sample", "@-", "--json"], input='{"action": "x"}')
    assert json.loads(piped.stdout)["payload"]["payload"] == {"action": "x", "count": 0}


@pytest.mark.parametrize("where", ["inline", "background"])
def test_enqueue_says_why_a_job_is_not_published(
    cli: FlaskCliRunner, app: Flask, where: str
) -> None:
    background = BackgroundPublisher(app, grace=20) if where == "background" else None
    app.extensions["jobs"] = replace(app.extensions["jobs"], background=background)

    said = cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}', "--json"])

    assert json.loads(said.stdout)["published_at"] is None
    assert re.search(r"Not published yet: .* cannot be reached: .*; the sweep tries", said.stderr)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["enqueue", "simple", "{}"], "unknown job type 'simple'; did you mean: sample"),
        (["enqueue", "sample", "{"], "not JSON"),
        (["enqueue", "sample", "@/nowhere"], "cannot read /nowhere"),
        (["enqueue", "sample", "{}"], "action: Missing data for required field."),
        (["enqueue", "sample", '{"action": "x"}', "--delay", "soon"], "delay: 'soon'"),
        (["run", "sample", "[]"], "Invalid job payload"),
        (["list", "--type", "simple"], "did you mean: sample"),
        (["list", "--status", "retrying"], "a kind of failed job: give --retrying in place of"),
        (["list", "--status", "done"], "'done' is not one of"),
        (["list", "--limit", "0"], "0 is not in the range"),
        (["show", "42"], "42 is too short"),
        (["show", str(uuid4())], "no job has the id"),
        (["watch", str(uuid4())], "no job has the id"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    cli: FlaskCliRunner, args: list[str], said: str
) -> None:
    result = cli.invoke(args=["jobs", *args])

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_no_database_is_one_line_and_exit_code_2(cli: FlaskCliRunner, no_database: None) -> None:
    for args in (["enqueue", "sample", '{"action": "x"}'], ["list"], ["show", str(uuid4())]):
        result = cli.invoke(args=["jobs", *args])
        assert result.exit_code == 2
        assert "the database cannot be reached" in result.stderr


def test_run_executes_the_handler_and_commits_its_work(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "run", "sample", '{"action": "echo"}'])

    assert json.loads(result.stdout)["attempt"] == 1
    assert db.session.scalars(select(Effect.note)).all() == ["echo"]
    assert db.session.scalars(select(JobExecution)).all() == []


def test_run_says_what_the_handler_raised(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "run", "sample", '{"action": "permanent"}'])

    assert result.exit_code == 1
    assert "PermanentError: this can never work" in result.stderr


def test_list_is_newest_first(cli: FlaskCliRunner) -> None:
    first, second = enqueued(), enqueued()

    out = cli.invoke(args=["jobs", "list"]).output
    assert out.index(second) < out.index(first)
    rows = json.loads(cli.invoke(args=["jobs", "list", "--json", "--limit", "1"]).output)
    assert [row["job_id"] for row in rows["jobs"]] == [second]


def test_an_empty_list_says_so(cli: FlaskCliRunner) -> None:
    assert cli.invoke(args=["jobs", "list"]).output == "No jobs.\n"


def test_show_tells_all_but_the_lease(cli: FlaskCliRunner) -> None:
    job_id = enqueued()
    set_status(job_id, status="failed", error="ValueError: no", dead_at="2026-01-01T00:00:00Z")

    out = cli.invoke(args=["jobs", "show", job_id]).output
    assert "failed, dead" in out
    assert "ValueError: no" in out
    shown = json.loads(cli.invoke(args=["jobs", "show", job_id, "--json"]).output)
    assert shown["user_id"] == 7
    assert "lease_token" not in shown


def test_show_says_sealed_where_a_secret_is(cli: FlaskCliRunner) -> None:
    data = {"recipientName": "Ann", "resetUrl": "https://app.example.com/reset?token=s3cret"}
    payload = {"to": "ann@example.com", "template": "passwordReset", "data": data}

    out = cli.invoke(args=["jobs", "show", enqueue("send-email", payload)]).output

    assert '"resetUrl": "(sealed)"' in out
    assert "s3cret" not in out


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("cancelled", 1)])
def test_watch_ends_with_the_job(cli: FlaskCliRunner, status: str, code: int) -> None:
    job_id = enqueued()
    set_status(job_id, status=status)

    result = cli.invoke(args=["jobs", "watch", job_id])

    assert (result.exit_code, result.output) == (code, f"sample: {status}  attempts 0\n")


def test_watch_gives_up_when_told_to(cli: FlaskCliRunner) -> None:
    result = cli.invoke(args=["jobs", "watch", enqueued(), "--timeout", "0"])

    assert (result.exit_code, result.stdout) == (1, "sample: pending  attempts 0\n")


def test_help_teaches(cli: FlaskCliRunner) -> None:
    for command in (["enqueue"], ["dlq", "retry"]):
        out = cli.invoke(args=["jobs", *command, "--help"]).output
        assert f"\n  Examples:\n    flask jobs {' '.join(command)}" in out
