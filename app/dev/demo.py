"""`make demo`: ten emails go through the real system, and each must end as expected.

Our own server stands in for Resend and fails two of the emails; everything else is what runs in
production: gunicorn, PostgreSQL, signed deliveries, the Resend SDK.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from os.path import relpath
from pathlib import Path
from typing import Any

import click
from flask import Flask

from app import create_app
from app.dev.console import Console, is_colourful
from app.dev.progress import Line, Progress
from app.dev.resend_server import INVALID, OUTAGE, ResendServer
from app.dev.runner import Runner
from app.dev.stack import Plan, start

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1
RETRY_DELAY_MS = "500"


@dataclass(frozen=True)
class Case:
    """An email to enqueue, and the expected end of its job."""

    label: str
    payload: dict[str, Any]
    status: str = "completed"
    attempts: int = 1


def demo(instance: Path) -> bool:
    """Run the demo and tell whether every job ended as expected.

    Raises:
        RunnerError: a process did not start, or ended by itself.
    """
    emails, log_file = instance / "emails", instance / "log"
    _forget_last_time(instance, emails)
    click.echo("\nBackground jobs for Flask over QStash, end to end on this machine.\n")
    with (
        log_file.open("w") as log,
        ResendServer(emails) as resend,
        Runner(Console(log)) as runner,
        redirect_stderr(log),
    ):
        _report("Resend's API", resend.url, 0)
        os.environ.update(start(runner, _plan(instance, resend)).settings)
        resend.answer("fails-twice@example.com", OUTAGE, OUTAGE)
        resend.answer("never@example.com", INVALID, forever=True)
        return _judge(_follow(runner, create_app()), emails, log_file)


def _forget_last_time(instance: Path, emails: Path) -> None:
    """Keep the database, so that a second run starts faster, but delete all jobs."""
    shutil.rmtree(emails, ignore_errors=True)
    emails.mkdir(parents=True)
    for file in instance.glob("qstash.sqlite*"):
        file.unlink()


def _plan(instance: Path, resend: ResendServer) -> Plan:
    settings = {
        "RESEND_API_URL": resend.url,
        "RESEND_API_KEY": "re_demo",
        "RESEND_RATE_PER_SECOND": "20",
    }
    return Plan(instance, _report, settings, isolated=True)


def _report(part: str, where: str, seconds: float) -> None:
    took = f"{seconds:.1f} s" if seconds else ""
    line = f"  {click.style('✓', fg='green')} {part:<14}{where:<28}{took}".rstrip()
    click.echo(line, color=is_colourful(sys.stdout))


def _follow(runner: Runner, app: Flask) -> list[Line]:
    """Enqueue the jobs and show them until all have ended, or time is up."""
    cases = _cases()
    with app.app_context():
        jobs = [(case, _enqueue(case)) for case in cases]
    click.echo(f"\n  Enqueued {len(jobs)} emails. QStash delivers them to the app.\n")
    progress = Progress(sys.stdout)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        runner.check()
        with app.app_context():
            lines = [_line(case, job_id) for case, job_id in jobs]
        progress.show(lines)
        if all(line.as_expected is not None for line in lines) or time.monotonic() > give_up_at:
            break
        time.sleep(POLL_SECONDS)
    progress.finish(lines)
    return lines


def _cases() -> list[Case]:
    from app.families.email.samples import SAMPLES  # noqa: PLC0415 - needs the app's extensions

    welcome = SAMPLES[0]
    return [
        *(Case(sample["template"], sample) for sample in SAMPLES),
        Case("welcome (fails twice)", {**welcome, "to": "fails-twice@example.com"}, attempts=3),
        Case("welcome (refused)", {**welcome, "to": "never@example.com"}, "failed, dead"),
    ]


def _enqueue(case: Case) -> str:
    from app.jobs import enqueue  # noqa: PLC0415 - as above

    return enqueue("send-email", case.payload, retry_delay=RETRY_DELAY_MS)


def _line(case: Case, job_id: str) -> Line:
    from app.jobs import get_job_execution_by_job_id  # noqa: PLC0415 - as above
    from app.jobs.cli import kit  # noqa: PLC0415 - as above

    row = get_job_execution_by_job_id(job_id)
    if row is None:
        return Line(case.label, "send-email", "missing", 0, 0, as_expected=False)
    ended = row.completed_at or row.dead_at
    took = ((ended or datetime.now(UTC)) - row.created_at).total_seconds()
    state = (kit.state(row), len(row.attempts))
    expected = state == (case.status, case.attempts) if row.is_final else None
    return Line(case.label, row.job_type, *state, took, expected)


def _judge(lines: Sequence[Line], emails: Path, log: Path) -> bool:
    wrong = [line.label for line in lines if not line.as_expected]
    written = len(list(emails.glob("*.html")))
    if wrong:
        click.echo(f"\n  Not as expected: {', '.join(wrong)}.")
        click.echo(f"  Log of all processes: {relpath(log)}")
    else:
        click.echo("\n  Every job ended as expected: emails that Resend failed twice were retried,")
        click.echo("  emails that it rejected were given up at once.")
    click.echo(f"  {written} emails to open in a browser: {relpath(emails)}/*.html")
    click.echo("  Next: make dev\n")
    return not wrong
