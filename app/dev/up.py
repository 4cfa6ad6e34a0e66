"""`make dev`: the whole stack with reload and one log, until Ctrl-C."""

import os
import sys
import time
from pathlib import Path

from app import config
from app.dev import stripe_forwarding
from app.dev.console import Console
from app.dev.runner import POLL_SECONDS, Runner
from app.dev.stack import Plan, start
from app.dev.web import Watcher, Web

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
        console.line("dev", f"{part}: {where} ({seconds:.1f} s)")

    with Runner(console) as runner:
        mailbox = os.environ.get("MAILBOX_DIR", str(instance / "mailbox"))
        os.environ["APP_ENV"] = "development"
        stripe = stripe_forwarding.prepare(config.load(instance))
        given = {"MAILBOX_DIR": mailbox, **stripe.settings}
        watcher = Watcher()
        stack = start(runner, Plan(instance, report, given))
        stripe_forwarding.start(runner, stripe, stack.settings["BASE_URL"])
        for line in _welcome({**stack.settings, "stripe": stripe.note}):
            console.line("dev", line)
        while True:
            _keep_up(stack.web, watcher, console)
            runner.check(may_end=stack.web.process)
            time.sleep(POLL_SECONDS)


def _keep_up(web: Web, watcher: Watcher, console: Console) -> None:
    """Reload the app if its code changed."""
    if web.has_ended():
        console.line(
            "dev", "The app cannot start with this code; it tries again at the next change."
        )
    changed = watcher.changed()
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004 - a line holds no more
        console.line("dev", f"Reloading; changed: {', '.join(changed[:3])}{more}")
        web.reload()


def _welcome(settings: dict[str, str]) -> list[str]:
    local = settings.get("QSTASH_URL")
    queue = f"{local}  (open it in a browser)" if local else "the one in QSTASH_URL"
    database = settings["DATABASE_URL"].replace("+psycopg", "")
    return [
        "",
        f"App       {settings['BASE_URL']}",
        f"Dashboard {settings['BASE_URL']}/admin/jobs",
        f"QStash    {queue}",
        f"Database  {database}",
        f"Mailbox   {settings['MAILBOX_DIR']}",
        f"Stripe    {settings['stripe']}",
        "",
        "Enqueue a job in another terminal:",
        f"  {EXAMPLE}",
        "Ctrl-C stops everything.",
        "",
    ]
