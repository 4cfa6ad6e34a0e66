"""`flask jobs watch` and `show` of a job that takes its time."""

import json
import os
import pty
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from subprocess import Popen
from typing import Any

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text

from app.jobs import enqueue
from app.jobs.cli import watch
from app.jobs.cli.bar import Bar
from app.jobs.message import Message
from app.jobs.table.models import JobExecution
from app.jobs.testing import drain
from tests.support.rows import Rows


def running(done: int, total: int | None = 1000, **columns: Any) -> JobExecution:
    started = datetime.now(UTC) - timedelta(seconds=75)
    progress = {"done": done, "total": total, "note": "counting\nrows"}
    given = {"status": "processing", "legs": 0, "attempts": [], "started_at": started}
    return JobExecution(job_type="export", progress=progress, **(given | columns))


def test_a_bar_tells_share_count_time_pace_and_what_is_left() -> None:
    bar = Bar()

    first = bar.draw(running(0), columns=120, now=10.0)
    later = bar.draw(running(250), columns=120, now=20.0)
    waiting = bar.draw(running(250), columns=120, now=22.0)

    assert first == f"export  processing  {'░' * 20}    0 %  0/1,000  1:15  counting rows"
    assert later == (
        f"export  processing  {'█' * 5}{'░' * 15}   25 %  250/1,000  1:15  25.0/s  0:30 left"
        "  counting rows"
    )
    assert "  25.0/s  0:28 left" in waiting


def test_a_bar_fits_the_terminal() -> None:
    for columns in (20, 59, 60, 80):
        line = Bar(plain=True).draw(running(500), columns=columns, now=0)
        assert len(line) < columns, columns
        assert line.startswith("export  processing")
        assert ("#" in line) == (columns >= 60)


@pytest.mark.parametrize("total", [None, 0, 10])
def test_a_bar_bears_any_figures(total: int | None) -> None:
    for done in (-5, 0, 25):
        assert f"{done:,}" in Bar().draw(running(done, total), columns=120, now=0)


def test_a_bar_says_which_leg_or_attempt_it_is() -> None:
    assert "  leg 3  " in Bar().draw(running(1, legs=2), columns=120, now=0)
    attempts = [{"number": 1, "outcome": "failed"}]
    assert "  attempt 2  " in Bar().draw(running(1, attempts=attempts), columns=120, now=0)


def meanwhile(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> None:
    """Do something at each look but the first."""
    left = iter(steps)
    monkeypatch.setattr(watch, "sleep", lambda _: next(left)())


def test_watch_prints_each_change_to_the_end(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    half = {"done": 5, "total": 10, "note": "counting"}
    meanwhile(
        monkeypatch,
        lambda: rows.set(job_id, status="processing", progress=half),
        lambda: None,
        lambda: rows.set(job_id, status="completed"),
    )

    result = cli.invoke(args=["jobs", "watch", job_id])

    assert result.output.splitlines() == [
        "sample: pending  attempts 0",
        "sample: processing  attempts 1  50 %  5/10  counting",
        "sample: completed  attempts 0  100 %  5/10  counting",
    ]
    assert result.exit_code == 0


def test_watch_prints_lines_of_json(
    cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    job_id = enqueue("sample", {"action": "none"})
    dead = {"status": "failed", "error": "ValueError: no", "dead_at": text("now()")}
    meanwhile(monkeypatch, lambda: rows.set(job_id, **dead))

    result = cli.invoke(args=["jobs", "watch", job_id, "--json"])

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["status"], line["final"]) for line in lines] == [
        ("pending", False),
        ("failed", True),
    ]
    assert (lines[-1]["error"], result.exit_code) == ("ValueError: no", 1)


def test_watch_draws_one_line_on_a_terminal(rows: Rows, database_url: str) -> None:
    """In a process of its own, with a pseudo-terminal for its output."""
    job_id = enqueue("sample", {"action": "none"})
    half = {"done": 5, "total": 10, "note": None}
    rows.set(job_id, status="processing", progress=half, started_at=text("now()"))
    terminal, end = pty.openpty()
    env = {**os.environ, "DATABASE_URL": database_url, "APP_ENV": "test", "COLUMNS": "100"}
    command = [sys.executable, "-m", "flask", "jobs", "watch", job_id]
    process = Popen(command, env={**env, "PYTHONUTF8": "1"}, stdout=end, stderr=end)  # noqa: S603 - ours
    os.close(end)

    shown = read_until(terminal, " 50 %")
    rows.set(job_id, status="completed", completed_at=text("now()"))
    shown += read_until(terminal, "\n")

    assert process.wait() == 0
    os.close(terminal)
    assert "█" * 10 + "░" * 10 in shown
    assert "█" * 20 in shown.rpartition("\r\x1b[K")[2]
    assert shown.count("\n") == 1


def read_until(terminal: int, wanted: str) -> str:
    shown = ""
    while wanted not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_show_tells_the_legs(cli: FlaskCliRunner, published: list[Message]) -> None:
    job_id = enqueue("sample", {"action": "legs", "count": 3})
    drain()

    out = cli.invoke(args=["jobs", "show", job_id]).output

    found = re.findall(r"leg (\d): (\w+)", out)
    assert found == [("2", "continued"), ("3", "completed")]
