"""`make dev`: the whole stack with reload and one log, until Ctrl-C."""

import sys
from pathlib import Path

from app.dev.console import Console
from app.dev.runner import Runner
from app.dev.stack import Plan, start

EXAMPLE = (
    """.venv/bin/flask jobs enqueue send-email '{"to": "ada@example.com","""
    """ "template": "passwordChanged", "data": {"recipientName": "Ada"}}'"""
)


def up(instance: Path) -> None:
    """Run until interrupted.

    Raises:
        RunnerError: a process did not start, or ended by itself.
    """
    console = Console(sys.stdout)

    def report(part: str, where: str, seconds: float) -> None:
        console.line("dev", f"{part} is ready: {where} ({seconds:.1f} s)")

    with Runner(console) as runner:
        settings = start(runner, Plan(instance, report, reload=True))
        for line in _welcome(settings, instance):
            console.line("dev", line)
        runner.wait()


def _welcome(settings: dict[str, str], instance: Path) -> list[str]:
    queue = settings.get("QSTASH_URL", "the one in QSTASH_URL")
    database = settings["DATABASE_URL"].replace("+psycopg", "")
    return [
        "",
        f"App       {settings['BASE_URL']}",
        f"QStash    {queue} (a page with messages, attempts and schedules)",
        f"Database  {database}",
        f"Mailbox   {instance / 'mailbox'}",
        "",
        "Enqueue a job in another terminal:",
        f"  {EXAMPLE}",
        "Ctrl-C stops everything.",
        "",
    ]
