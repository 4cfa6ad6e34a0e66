"""`flask jobs list`: every filter, newest first, page by page."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from app.jobs.cli import group
from app.jobs.table import pages
from tests.support.rows import Rows, add_row

NOW = datetime.now(UTC)
DEAD = {"status": "failed", "dead_at": NOW, "error": "ResendError: Rate limit\nexceeded"}


def listed(cli: FlaskCliRunner, *args: str) -> list[str]:
    result = cli.invoke(args=["jobs", "list", "--json", *args])
    assert result.exit_code == 0, result.output
    return [job["job_id"] for job in json.loads(result.stdout)["jobs"]]


@pytest.mark.parametrize(
    ("option", "found", "other"),
    [
        (["--status", "completed"], {"status": "completed"}, DEAD),
        (["--dead"], DEAD, {"status": "failed"}),
        (["--retrying"], {"status": "failed"}, DEAD),
        (["--type", "sample"], {}, {"job_type": "noop"}),
        (["--type", "of-old"], {"job_type": "of-old"}, {}),
        (["--user-id", "7"], {"user_id": 7}, {"user_id": 8}),
        (["--organization-id", "7"], {"organization_id": 7}, {}),
        (["--older-than", "2d"], {"created_at": NOW - timedelta(days=3)}, {}),
        (["--newer-than", "2d"], {}, {"created_at": NOW - timedelta(days=3)}),
        (["--error", "RATE LIMIT"], DEAD, {"error": "ValueError: rate"}),
        (["--tag", "a"], {"tags": ["a", "b"]}, {"tags": ["b"]}),
        (["--fingerprint", "fa25dd908676"], {"error": "at 7"}, {"error": "as 7"}),
        (["--error", "100%_"], {"error": "at 100%_"}, {"error": "at 100 %"}),
        (["--message-id", "msg_1"], {"message_id": "msg_1"}, {"message_id": "msg_2"}),
        (["--schedule", "nightly"], {"schedule_id": "nightly"}, {}),
        (["--dead", "--user-id", "7"], {**DEAD, "user_id": 7}, DEAD),
    ],
)
def test_a_filter_finds_what_it_says(
    cli: FlaskCliRunner, option: list[str], found: dict[str, Any], other: dict[str, Any]
) -> None:
    wanted = add_row(**found)
    add_row(**other)

    assert listed(cli, *option) == [wanted]


@pytest.mark.parametrize("option", [[], ["--error", "no"]])
def test_pages_follow_each_other_without_a_gap(cli: FlaskCliRunner, option: list[str]) -> None:
    """Also where jobs were recorded at the same moment, as `enqueue_many` does."""
    made = [add_row(created_at=NOW, error="no") for _ in range(5)]
    seen: list[str] = []
    after: list[str] = []
    for _ in range(3):
        result = cli.invoke(args=["jobs", "list", "--json", "--limit", "2", *option, *after])
        page = json.loads(result.stdout)
        seen += [job["job_id"] for job in page["jobs"]]
        add_row()  # what comes meanwhile moves no page
        after = ["--after", page["after"]]

    assert seen == made[::-1]
    assert page["after"] is None


def test_an_error_is_looked_for_in_so_many_jobs_at_a_time(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SEARCHED", 2)
    rare = add_row(error="deadlock")
    for _ in range(2):
        add_row(error="no")

    first = json.loads(cli.invoke(args=["jobs", "list", "--json", "--error", "dead"]).stdout)
    assert first["jobs"] == []
    assert listed(cli, "--error", "dead", "--after", first["after"]) == [rare]


def test_a_person_is_told_how_to_see_more(cli: FlaskCliRunner) -> None:
    for _ in range(2):
        add_row()

    result = cli.invoke(args=["jobs", "list", "--limit", "1"])

    assert "Next page: flask jobs list" in result.stderr
    assert "--after" in result.stderr
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_table_fits_the_terminal(cli: FlaskCliRunner, columns: int) -> None:
    add_row(job_type="process-stripe-webhook", **DEAD | {"error": "ValueError: " + "no " * 99})

    result = cli.invoke(args=["jobs", "list"], env={"COLUMNS": str(columns)})

    assert max(map(len, result.stdout.splitlines())) <= columns
    assert "ValueError: no no" in result.stdout
    assert "process-stripe-webh" in result.stdout


def test_a_pipe_gets_whole_lines(cli: FlaskCliRunner) -> None:
    add_row(**DEAD | {"error": "ValueError: " + "no " * 99 + "end"})

    assert cli.invoke(args=["jobs", "list"], env={"COLUMNS": None}).stdout.endswith("no end\n")


def test_nobody_to_ask_is_a_refusal_that_names_yes(cli: FlaskCliRunner, rows: Rows) -> None:
    job_id = add_row(**DEAD)

    result = cli.invoke(args=["jobs", "delete", "--dead"])

    assert not group.is_terminal()
    assert (result.exit_code, job_id in rows) == (2, True)
    assert "Delete 1 job (1 failed)? Not a terminal: pass --yes to confirm" in result.stderr
