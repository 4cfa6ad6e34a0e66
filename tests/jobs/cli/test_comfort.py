"""What makes the command line pleasant: short ids, columns that say when and whose, no noise."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.dev.reaper import ROOT
from app.jobs import enqueue
from app.jobs.cli import jobs
from app.jobs.cli.formatting import painted
from app.jobs.errors import UnknownJobType
from app.jobs.table.job_rows import get_job_execution_by_job_id
from app.local_qstash.testing import LocalQStash
from tests.support.publishing import served_by
from tests.support.rows import AddJobs

pytestmark = pytest.mark.usefixtures("published")

FIRST, SECOND = "5f0c1111-0000-4000-8000-000000000001", "5f0c2222-0000-4000-8000-000000000002"


@pytest.fixture
def two_alike(add_jobs: AddJobs) -> None:
    for job_id in (FIRST, SECOND):
        add_jobs(1, "failed", job_id=f"'{job_id}'", dead_at="now()")


@pytest.mark.usefixtures("two_alike")
@pytest.mark.parametrize("given", ["5f0c1", "5F0C1111-0", "5f0c1111…", FIRST])
def test_fault_A19_an_id_is_found_by_its_first_characters(cli: FlaskCliRunner, given: str) -> None:
    shown = cli.invoke(args=["jobs", "show", given, "--json"])
    watched = cli.invoke(args=["jobs", "watch", given, "--timeout", "0", "--json"])
    linked = cli.invoke(args=["jobs", "link", given])
    retried = cli.invoke(args=["jobs", "retry", given, "--json"])

    assert json.loads(shown.stdout)["job_id"] == FIRST
    assert FIRST in watched.stdout
    assert FIRST in linked.stdout
    assert json.loads(retried.stdout)["count"] == 1


@pytest.mark.usefixtures("two_alike")
@pytest.mark.parametrize("command", ["show", "watch", "link", "retry", "cancel", "delete"])
def test_fault_A19_what_fits_several_names_them(cli: FlaskCliRunner, command: str) -> None:
    result = cli.invoke(args=["jobs", command, "5f0c"])

    assert result.exit_code == 2
    assert FIRST in result.stderr
    assert SECOND in result.stderr
    assert get_job_execution_by_job_id(FIRST) is not None


@pytest.mark.parametrize("given", ["abcd", "ab%d", "zzzz", "5f0_", "nobody's"])
def test_what_fits_none_says_so(cli: FlaskCliRunner, two_alike: None, given: str) -> None:
    result = cli.invoke(args=["jobs", "show", given])

    assert result.exit_code == 2
    assert f"no job has the id {given}" in result.stderr


def test_too_short_an_id_is_told_how_long_it_must_be(cli: FlaskCliRunner, two_alike: None) -> None:
    result = cli.invoke(args=["jobs", "show", "5f0"])

    assert result.exit_code == 2
    assert "5f0 is too short: give at least 4 characters of the id" in result.stderr


def test_fault_A19_a_list_says_when_and_whose_where_there_is_something_to_say(
    cli: FlaskCliRunner,
) -> None:
    enqueue("noop", {"action": "none"})
    plain = cli.invoke(args=["jobs", "list"]).stdout.splitlines()[0].split()
    enqueue("sample", {"action": "none"}, user_id=7, organization_id=8, delay="2h")
    full = cli.invoke(args=["jobs", "list"]).stdout.splitlines()

    assert plain == ["ID", "TYPE", "STATUS", "TRY", "AGE"]
    assert full[0].split() == ["ID", "TYPE", "STATUS", "TRY", "AGE", "DUE", "USER", "ORG"]
    assert full[1].split()[-4:] == ["in", "2h", "7", "8"]
    enqueue("noop", {"action": "none"}, queue="exports")
    assert "QUEUE" in cli.invoke(args=["jobs", "list"]).stdout


def test_fault_A19_no_log_lines_among_the_output_and_hints_go_to_stderr(
    app: Flask, cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(console)])
    result = cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}'])

    assert re.fullmatch(r"[0-9a-f-]{36}\n", result.stdout)
    assert "flask jobs watch" in result.stderr
    assert console.getvalue() == ""

    app.config["JOBS_QUIET"] = False
    cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}'])
    assert "Enqueueing job" in console.getvalue()


@pytest.mark.parametrize("group", [[], ["schedules"], ["dlq"], ["alerts"]])
def test_fault_A19_no_line_of_the_help_is_cut(cli: FlaskCliRunner, group: list[str]) -> None:
    said = cli.invoke(args=["jobs", *group, "--help"], env={"COLUMNS": "80"}).stdout

    assert "..." not in said.partition("Commands:")[2]
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("columns", ["30", "60", "100"])
def test_a_last_column_that_is_wrapped_is_no_row_more(
    app: Flask, cli: FlaskCliRunner, columns: str
) -> None:
    app.config["JOBS_RETENTION"] = {"completed": 7 * 86400, "cancelled": 86400, "dead": 90 * 86400}

    said = cli.invoke(args=["jobs", "types"], env={"COLUMNS": columns})

    assert said.exception is None, said.exception
    words = said.stdout.split()
    assert words.count("send-email") == 1
    assert "Send transactional emails" in said.stdout or columns == "30"


def test_fault_A19_only_what_is_near_is_taken_for_what_was_meant(app: Flask) -> None:
    with pytest.raises(UnknownJobType, match="did you mean: sample") as near:
        enqueue("sampel", {})
    with pytest.raises(UnknownJobType, match=r"known: .*cleanup-old-data, ") as far:
        enqueue("zzz", {})

    assert "noop" not in str(near.value)
    assert "did you mean" not in str(far.value)


def test_fault_A19_a_status_is_coloured_once_in_a_line() -> None:
    line = painted("5f0c  send-email  dead  1  died of a failed  completed thing")

    assert line.count("\x1b[31mdead\x1b[0m") == 1
    assert line.count("\x1b[") == 2


@pytest.mark.parametrize(("variables", "colour"), [({}, "\x1b[32m"), ({"NO_COLOR": "1"}, "")])
def test_fault_A19_a_terminal_gets_colours(
    app: Flask, add_jobs: AddJobs, variables: dict[str, str], colour: str
) -> None:
    add_jobs(1, "completed")
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    env = {**os.environ, "DATABASE_URL": url, "POSTGRES_URL": url, "TERM": "xterm", **variables}
    env.pop("COLUMNS", None)
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "flask", "jobs", "list"],
        cwd=ROOT,
        env=env,
        stdout=theirs,
        check=True,
    )
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)

    assert "completed" in said
    assert f"{colour}completed" in said
    assert ("\x1b" in said) == bool(colour)


NEXT_WEEK = (datetime.now(UTC) + timedelta(days=7)).isoformat()
OPTIONS = {
    "--user-id": "7",
    "--organization-id": "8",
    "--idempotency-key": "once",
    "--not-before": NEXT_WEEK,
    "--retries": "4",
    "--retry-delay": "1000 * (1 + retried)",
    "--timeout": "45s",
    "--callback": "https://8.8.8.8/told",
    "--failure-callback": "https://8.8.8.8/gave-up",
    "--header": "X-Tenant: acme",
    "--flow-control": "emails,rate=10,period=60,parallelism=2",
    "--label": "nightly",
}


def test_issue_11_enqueue_takes_every_option_that_the_python_call_takes(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [part for pair in OPTIONS.items() for part in pair]
    said = cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}', *pairs, "--json"])
    row = json.loads(said.stdout)

    assert (row["user_id"], row["organization_id"], row["idempotency_key"]) == (7, 8, "once")
    assert row["options"] == {
        "not_before": NEXT_WEEK,
        "retries": 4,
        "retry_delay": "1000 * (1 + retried)",
        "timeout": 45,
        "callback": "https://8.8.8.8/told",
        "failure_callback": "https://8.8.8.8/gave-up",
        "headers": row["options"]["headers"],
        "flow_control": {"key": "emails", "rate": 10, "period": 60, "parallelism": 2},
        "label": "nightly",
    }
    assert row["options"]["headers"]["X-Tenant"] == "acme"


def test_issue_11_no_option_of_the_python_call_is_missing() -> None:
    from app.jobs.values.options import Options  # noqa: PLC0415 - only this looks at it

    for command in (jobs.commands["enqueue"], schedules_create()):
        known = {param.name for param in command.params}
        assert {*Options.__annotations__} - {"not_before"} <= known
    assert "not_before" in {param.name for param in jobs.commands["enqueue"].params}


def schedules_create() -> click.Command:
    group: Any = jobs.commands["schedules"]
    command: click.Command = group.commands["create"]
    return command


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--not-before", "tomorrow"], "'tomorrow' is not a time"),
        (["--not-before", "2030-01-01T00:00"], "has no time zone"),
        (["--header", "X-Tenant"], "write it like 'X-Tenant: acme'"),
        (["--flow-control", "emails,speed=3"], "speed=3: write it like"),
        (["--flow-control", "emails,rate=fast"], "rate=fast: write it like"),
        (["--flow-control", "emails"], "give a rate, a parallelism or both"),
        (["--timeout", "0"], "at least one second"),
        (["--callback", "nowhere"], "callback"),
        (["--queue", "a b"], "queue"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_recorded(
    cli: FlaskCliRunner, args: list[str], said: str
) -> None:
    result = cli.invoke(args=["jobs", "enqueue", "sample", '{"action": "none"}', *args])

    assert result.exit_code == 2
    assert said in result.stderr
    assert "No jobs." in cli.invoke(args=["jobs", "list"]).stdout


def test_issue_11_a_schedule_is_made_by_hand(
    app: Flask, cli: FlaskCliRunner, tmp_path: Path
) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"action": "none"}')
    create = ["jobs", "schedules", "create", "sample", "0 6 * * 1", f"@{payload}"]
    by_hand = ["--id", "weekly", "--timezone", "Europe/Berlin", "--retries", "1", "--json"]
    with served_by(app, LocalQStash()) as client:
        made = cli.invoke(args=[*create, *by_hand])
        plain = cli.invoke(args=create)
        kept = client.schedule.get("weekly")
        wrong = cli.invoke(args=[*create[:4], "0 6 * *", "{}"])

    assert made.exit_code == plain.exit_code == 0
    assert json.loads(made.stdout)["cron"] == "CRON_TZ=Europe/Berlin 0 6 * * 1"
    assert (kept.cron, kept.retries) == ("CRON_TZ=Europe/Berlin 0 6 * * 1", 1)
    assert len(plain.stdout.split()) == 1
    assert "next: " in plain.stderr
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("Error: ")


#: What only some commands, or only processes that serve, have any use for.
SLOW = [
    *("aiohttp", "alembic", "apispec", "httpx", "prometheus_client"),
    *("qstash", "resend", "stripe", "xlsxwriter"),
]


def test_fault_A19_a_command_imports_nothing_slow_that_it_does_not_need() -> None:
    code = f"""
import sys
from flask.cli import main
sys.argv = ["flask", "jobs", "--help"]
try:
    main()
except SystemExit:
    print(*(name for name in {SLOW} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stderr.split() == []
