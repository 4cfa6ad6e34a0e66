"""`make screenshots`: the pictures in README and docs, taken from a stack that really runs."""

import html
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
from flask import Flask
from playwright.sync_api import Browser

from app import create_app
from app.dev.console import Console
from app.dev.runner import Runner
from app.dev.stack import Plan, start
from tests.browser.chromium import chromium

REPORT = {
    "reportType": "job-performance",
    "format": "json",
    "startDate": "2026-01-01",
    "endDate": "2026-02-01",
}
#: Of the emails, in their order.
TAGS = [
    ["onboarding"],
    None,
    None,
    ["billing", "vip"],
    ["onboarding"],
    ["billing"],
    ["billing"],
    None,
]
IMAGES = Path(__file__).parents[2] / "docs/images"
TERMINAL = """<body style="margin:0;background:#16191d"><pre style="margin:0;padding:18px 22px;
color:#d7dce2;font:14px/1.45 'DejaVu Sans Mono','Liberation Mono',monospace">{}</pre></body>"""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as app:
        mailbox = Path(app.config["MAILBOX_DIR"])
        job_id = enqueue_some(app)
        with chromium() as browser:
            take(browser, "local-qstash", app.config["QSTASH_URL"], 1100, 620)
            email = next(
                file
                for file in mailbox.glob("*.html")
                if ">Reset your password</h1>" in file.read_text()
            )
            take(browser, "email", email.as_uri(), 640, 600)
            dashboard = f"{app.config['BASE_URL']}/admin/jobs"
            take(browser, "dashboard", f"{dashboard}/jobs", 1200, 640)
            take(browser, "dashboard-job", f"{dashboard}/job/{job_id}", 1100, 620)
            take_terminal(browser, app, ["list", "--type", "send-email"], ["show", job_id])


@contextmanager
def running(folder: Path) -> Iterator[Flask]:
    settings = {"MAILBOX_DIR": str(folder / "mailbox"), "LOG_LEVEL": "WARNING"}
    os.environ["COLUMNS"] = "112"
    with Runner(Console(StringIO())) as runner:
        plan = Plan(folder, lambda *_: None, settings, isolated=True)
        os.environ.update(start(runner, plan).settings)
        app = create_app(instance=folder)
        with app.app_context():
            yield app


def enqueue_some(app: Flask) -> str:
    """Have emails sent, one wait, a report die and a message fail; return a sent email's id."""
    from app.families.email.samples import SAMPLES  # noqa: PLC0415 - needs the app's extensions
    from app.jobs import enqueue  # noqa: PLC0415 - as above
    from app.jobs.operate import Filter, actions  # noqa: PLC0415 - as above
    from app.jobs.testing import wait_for  # noqa: PLC0415 - as above

    sent = [
        str(
            enqueue("send-email", sample, user_id=7 + number, organization_id=42, tags=TAGS[number])
        )
        for number, sample in enumerate(SAMPLES)
    ]
    for job_id in sent:
        wait_for(job_id, "completed", timeout=60)
    waits = str(enqueue("send-email", SAMPLES[1], delay="1d", user_id=9))
    actions.cancel(Filter(job_ids=(waits,)), by="ada")
    exported = enqueue("export-data", {"entityType": "users", "format": "csv"}, user_id=7)
    wait_for(str(exported), "completed", timeout=60)
    reported = enqueue("generate-report", REPORT, organization_id=42)
    wait_for(str(reported), "failed", timeout=60)  # there is no such organization
    enqueue("send-email", SAMPLES[0], delay="10m", label="onboarding")
    httpx.post(
        f"{app.config['QSTASH_URL']}/v2/publish/http://127.0.0.1:9/down",
        headers={"Authorization": f"Bearer {app.config['QSTASH_TOKEN']}", "Upstash-Retries": "3"},
    ).raise_for_status()
    return sent[1]


def take(browser: Browser, name: str, url: str, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(url)
    page.wait_for_load_state("load")
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


def take_terminal(browser: Browser, app: Flask, *commands: list[str]) -> None:
    shown = []
    for command in commands:
        done = app.test_cli_runner().invoke(args=["jobs", *command])
        shown.append(f"$ flask jobs {' '.join(command)}\n{done.output}")
    page = browser.new_page(viewport={"width": 890, "height": 556})
    page.set_content(TERMINAL.format(html.escape("\n".join(shown))))
    page.screenshot(path=IMAGES / "terminal.png")
    page.close()


if __name__ == "__main__":
    main()
