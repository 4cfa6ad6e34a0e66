"""`flask reports`: reports at once, without a job."""

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

OCTOBER = ("--start", "2026-10-01", "--end", "2026-10-31")


def test_types_and_formats_are_listed(cli: FlaskCliRunner) -> None:
    lines = cli.invoke(args=["reports", "types"]).output.splitlines()

    names = [line.split()[0] for line in lines if line]
    assert names[:3] == ["job-performance", "monthly-analytics", "subscription-summary"]
    assert names[3:] == ["pdf", "html", "xlsx", "csv", "json"]
    assert all(len(line) <= 100 for line in lines)


def test_help_shows_examples_line_by_line(cli: FlaskCliRunner) -> None:
    lines = cli.invoke(args=["reports", "generate", "--help"]).output.splitlines()

    assert "    flask reports generate job-performance --format html --output jobs.html" in lines


def test_types_are_json_for_machines(cli: FlaskCliRunner) -> None:
    said = json.loads(cli.invoke(args=["reports", "types", "--json"]).output)

    assert len(said["reportTypes"]) == 3
    assert said["formats"] == ["pdf", "html", "xlsx", "csv", "json"]


def test_a_report_is_written_to_the_file_that_was_named(
    cli: FlaskCliRunner, world: Flask, tmp_path: Path
) -> None:
    target = tmp_path / "october.json"

    options = ("--format", "json", "--output", str(target), "--organization-id", "2")
    done = cli.invoke(args=["reports", "generate", "monthly-analytics", *OCTOBER, *options])

    assert done.exit_code == 0
    assert json.loads(target.read_text())["figures"][0]["value"] == 2
    assert list(tmp_path.glob("*.json")) == [target]
    assert str(target) in done.output


def test_without_days_it_covers_the_30_before_today(cli: FlaskCliRunner, world: Flask) -> None:
    args = ["reports", "generate", "job-performance", "--format", "json", "--output", "-"]

    report = json.loads(cli.invoke(args=args).output)

    assert report["period"]["days"] == 30
    assert report["period"]["endDate"] < report["generatedAt"][:10]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["monthly"], "Unknown report type 'monthly'; did you mean: monthly-analytics"),
        (["job-performance", "--format", "pfd"], "Unknown format 'pfd'; did you mean: pdf?"),
        (
            ["job-performance", "--start", "2026-10-02", "--end", "2026-10-01"],
            "--end: Must not be before --start (2026-10-02)",
        ),
        (["job-performance", "--start", "2020-01-01", "--end", "2026-10-01"], "at most 366"),
        (["job-performance", "--start", "soon"], "Invalid value for '--start'"),
        (["job-performance", "--organization-id", "404"], "no organization 404"),
        (["job-performance", "--output", "/no/such/folder/a.pdf"], "create it first"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    cli: FlaskCliRunner, args: list[str], said: str
) -> None:
    done = cli.invoke(args=["reports", "generate", *args])

    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output
