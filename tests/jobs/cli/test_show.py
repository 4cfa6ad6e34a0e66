"""`flask jobs show` and `stats`."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskCliRunner
from qstash import QStash

from app.jobs import enqueue
from app.jobs.operate import actions, message_log
from app.jobs.table import stats
from app.jobs.table.filters import Filter
from tests.support.rows import add_row, change_row, row_of
from tests.support.waiting import wait_until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ATTEMPTS = [
    {
        "number": 1,
        "started_at": (NOW + timedelta(seconds=2)).isoformat(),
        "duration_ms": 120,
        "outcome": "failed",
        "status": 500,
        "error": "ValueError: no",
        "traceback": "Traceback (most recent call last): line 7",
    },
    {"number": 2, "started_at": (NOW + timedelta(seconds=14)).isoformat(), "outcome": "lost"},
]


def failed(**values: Any) -> str:
    times = {"created_at": NOW, "published_at": NOW + timedelta(seconds=1)}
    ended = {"completed_at": NOW + timedelta(minutes=3), "dead_at": NOW + timedelta(minutes=3)}
    given = {"status": "failed", "attempts": ATTEMPTS, "error": "ValueError: no", **values}
    return add_row(**{**times, **ended, **given})


def test_show_tells_what_happened_in_its_order(cli: FlaskCliRunner) -> None:
    job_id = failed()
    actions.cancel(Filter(job_ids=(job_id,)), by="ann")

    out = cli.invoke(args=["jobs", "show", job_id]).output

    told = ["created", "+1.0 s", "published", "attempt 1: failed, after 120 ms, HTTP 500"]
    told += ["ValueError: no", "+12.0 s", "attempt 2: lost", "cancel by ann", "cancelled"]
    places = [out.index(what, out.index("EVENT")) for what in told]
    assert places == sorted(places)


def test_a_retrying_job_says_when_it_comes_next(cli: FlaskCliRunner, qstash: QStash) -> None:
    job_id = enqueue("sample", {"action": "none"}, retries=1, retry_delay="1h")
    wait_until(
        lambda: any(one.next_at for one in message_log.entries(row_of(job_id))), "QStash retries"
    )
    change_row(job_id, status="failed", error="ValueError: no")

    found = json.loads(cli.invoke(args=["jobs", "show", job_id, "--json"]).output)
    out = cli.invoke(args=["jobs", "show", job_id]).output

    left = datetime.fromisoformat(found["next_try_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < left < timedelta(minutes=61)
    assert re.search(r"^next try +about \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", out, re.MULTILINE)


def test_of_a_job_without_a_known_next_try_nothing_is_said(cli: FlaskCliRunner) -> None:
    """QStash is away."""
    job_id = failed(dead_at=None, completed_at=None, message_id="msg_1")

    result = cli.invoke(args=["jobs", "show", job_id])

    assert result.exit_code == 0
    assert "next try" not in result.output


def test_a_traceback_is_shown_when_asked_for(cli: FlaskCliRunner) -> None:
    job_id = failed()

    assert "line 7" not in cli.invoke(args=["jobs", "show", job_id]).output
    assert "line 7" in cli.invoke(args=["jobs", "show", job_id, "--traceback"]).output


def test_what_others_wrote_does_not_act_on_a_terminal(cli: FlaskCliRunner) -> None:
    said = "bell\a, bold\x1b[1m, \u202eturned"
    attempts = [{**ATTEMPTS[0], "error": said, "traceback": f"first\n\tsecond {said}"}]
    job_id = failed(error=said, attempts=attempts, payload={"payload": {"name": said}})

    shown = cli.invoke(args=["jobs", "show", job_id, "--traceback"]).output
    listed = cli.invoke(args=["jobs", "list", "--status", "failed"]).output

    assert not set(shown + listed) & {"\a", "\x1b", "\u202e"}
    assert r"first" "\n\t" r"second bell\u0007, bold\u001b[1m, \u202eturned" in shown


@pytest.mark.parametrize("machine", [[], ["--json"]])
def test_what_is_named_a_secret_is_not_shown(cli: FlaskCliRunner, machine: list[str]) -> None:
    payload = {"apiKey": "hunter2", "deep": [{"resetToken": ["hunter2"]}], "tokens": 3, "pin": None}
    options = {"headers": {"Authorization": "Bearer hunter2"}}
    job_id = add_row(payload={"payload": payload}, options=options, result={"password": "hunter2"})

    for command in (["show", job_id], ["list"]):
        out = cli.invoke(args=["jobs", *command, *machine]).output
        assert "hunter2" not in out
    shown = json.loads(cli.invoke(args=["jobs", "show", job_id, "--json"]).output)["payload"]
    assert shown["payload"]["tokens"] == 3


def test_show_in_json_has_the_audit(cli: FlaskCliRunner) -> None:
    job_id = failed()
    actions.cancel(Filter(dead=True), by="ann")

    audit = json.loads(cli.invoke(args=["jobs", "show", job_id, "--json"]).output)["audit"]

    assert [(entry["actor"], entry["action"]) for entry in audit] == [("ann", "cancel")]


@pytest.mark.parametrize("columns", [80, 120])
def test_show_fits_the_terminal(cli: FlaskCliRunner, columns: int) -> None:
    job_id = failed(error="ValueError: " + "no " * 99, message_id="msg_" + "x" * 60)

    out = cli.invoke(args=["jobs", "show", job_id], env={"COLUMNS": str(columns)}).output

    assert max(map(len, out.splitlines())) <= columns


def ran(seconds: float, **values: Any) -> None:
    created = datetime.now(UTC) - timedelta(minutes=10)
    started = created + timedelta(seconds=2)
    ended = started + timedelta(seconds=seconds)
    given = {"created_at": created, "started_at": started, "completed_at": ended}
    add_row(**{"status": "completed", **given, **values})


def test_stats_count_by_type_and_status_with_times(cli: FlaskCliRunner) -> None:
    for seconds in (1, 2, 6):
        ran(seconds)
    add_row(job_type="noop", status="failed", dead_at=NOW)
    ran(9, created_at=datetime.now(UTC) - timedelta(hours=2))

    found = json.loads(cli.invoke(args=["jobs", "stats", "--json"]).output)["stats"]

    assert [(row["job_type"], row["status"], row["dead"], row["count"]) for row in found] == [
        ("noop", "failed", True, 1),
        ("sample", "completed", False, 3),
    ]
    assert found[1]["per_minute"] == pytest.approx(3 / 60)
    times = [found[1][name] for name in ("average", "p50", "p95", "waited_p50")]
    assert times == pytest.approx([3, 2, 5.6, 2])
    assert found[0]["p50"] is None


def test_stats_of_too_many_jobs_are_those_of_the_newest(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "COUNTED", 2)
    for minutes in (1, 2, 30):
        add_row(created_at=datetime.now(UTC) - timedelta(minutes=minutes))

    found = json.loads(cli.invoke(args=["jobs", "stats", "--json"]).output)

    assert (found["capped"], found["stats"][0]["count"]) == (True, 2)
    assert found["seconds"] == pytest.approx(120, abs=5)


@pytest.mark.parametrize("columns", [80, 120])
def test_stats_fit_the_terminal(cli: FlaskCliRunner, columns: int) -> None:
    ran(100, job_type="process-stripe-webhook")

    out = cli.invoke(args=["jobs", "stats"], env={"COLUMNS": str(columns)}).output

    assert max(map(len, out.splitlines())) <= columns
    assert "1.7m" in out


def test_stats_of_nothing_say_so(cli: FlaskCliRunner) -> None:
    out = cli.invoke(args=["jobs", "stats", "--since", "15m"]).output

    assert out == "No jobs in the last 15 m.\n"
