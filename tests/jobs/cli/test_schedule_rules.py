"""The rules of a schedule's firings, on the command line."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskCliRunner
from qstash import QStash

from app.db import db
from app.jobs.table.firing_models import JobFiring

CREATE = ["jobs", "schedules", "create", "sample", "0 6 * * *", '{"action": "none"}', "--id", "six"]
RULES = ["--overlap", "queue", "--jitter", "600", "--catch-up", "last"]


def listed(cli: FlaskCliRunner) -> Any:
    (one,) = json.loads(cli.invoke(args=["jobs", "schedules", "list", "--json"]).stdout)
    return one


def test_a_schedule_is_made_with_rules_and_its_runs_are_told_with_them(
    cli: FlaskCliRunner, qstash: QStash
) -> None:
    made = cli.invoke(args=[*CREATE, *RULES])

    assert made.exit_code == 0, made.output
    assert "overlap queue, jitter 600 s, catch up last" in made.stderr
    found = listed(cli)
    assert found["rules"] == {"overlap": "queue", "jitter": 600, "catchUp": "last"}
    offsets = {
        datetime.fromisoformat(run).minute * 60 + datetime.fromisoformat(run).second
        for run in found["next"]
    }
    assert max(offsets) <= 600
    assert len(offsets) == 3
    assert listed(cli)["next"] == found["next"]
    assert "overlap queue" in cli.invoke(args=["jobs", "schedules", "list"]).stdout


def test_its_runs_are_listed_with_the_reasons(cli: FlaskCliRunner, qstash: QStash) -> None:
    cli.invoke(args=[*CREATE, *RULES])
    assert cli.invoke(args=["jobs", "schedules", "runs", "six"]).stdout == "No runs so far.\n"
    due = datetime.now(UTC) - timedelta(hours=1)
    reason = "job 5 runs still"
    firing = JobFiring(schedule_id="six", scheduled_for=due, outcome="skipped", reason=reason)
    db.session.add(firing)
    db.session.commit()

    args = ["jobs", "schedules", "runs", "six"]
    assert "skipped" in cli.invoke(args=args).stdout
    assert reason in cli.invoke(args=args).stdout
    (run,) = json.loads(cli.invoke(args=[*args, "--json"]).stdout)
    assert (run["outcome"], run["reason"], run["job_id"]) == ("skipped", reason, None)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--overlap", "skp"], "overlap: 'skp' is none; did you mean: skip?"),
        (["--jitter", "2d"], "jitter: 172800 s are not less than the 86400 s between two firings"),
        (["--catch-up", "some"], "catch_up: 'some' is none"),
    ],
)
def test_a_rule_that_is_none_is_answered_with_a_sentence(
    cli: FlaskCliRunner, qstash: QStash, args: list[str], said: str
) -> None:
    done = cli.invoke(args=[*CREATE, *args])

    assert done.exit_code == 2
    assert said in done.stderr
    assert qstash.schedule.list() == []
