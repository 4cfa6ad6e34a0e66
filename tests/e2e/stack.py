"""The processes of the real stack."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from app.config import DEV_QSTASH
from app.dev.reaper import ROOT
from app.dev.resend_server import ResendServer
from app.families.email.senders import send_password_changed_email_async
from app.jobs import JobExecution
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.publishing import connect
from tests.support.rows import row_of
from tests.support.waiting import wait_until

# A failure callback is tried a third time 90 s after the second, for an app that is slow to start.
PATIENCE = 110


class Stack:
    """The processes, each of which can be stopped and started again at the same address."""

    def __init__(self, folder: Path, database_url: str, resend: ResendServer) -> None:
        self.folder = folder
        self.resend = resend
        self.base_url = f"http://127.0.0.1:{reserved_port()}"
        self.qstash_url = f"http://127.0.0.1:{reserved_port()}"
        self.settings = {
            **DEV_QSTASH,
            "APP_ENV": "test",
            "DATABASE_URL": database_url,
            "BASE_URL": self.base_url,
            "QSTASH_URL": self.qstash_url,
            "RESEND_API_KEY": "re_local",
            "RESEND_API_URL": resend.url,
            "RESEND_RATE_PER_SECOND": "0",
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings}

    def start_web(self, app: str = "wsgi:app") -> None:
        command = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), app]
        self._start("web", command, PORT=self.base_url.rpartition(":")[2])
        self.await_that(lambda: answers(self.base_url), "gunicorn")

    def start_qstash(self, speed: int = 20) -> None:
        port = self.qstash_url.rpartition(":")[2]
        state = str(self.folder / "qstash.sqlite3")
        options = ["--port", port, "--state", state, "--speed", str(speed)]
        self._start("qstash", ["flask", "qstash", "dev", *options])
        self.await_that(lambda: answers(f"{self.qstash_url}/healthz"), "the QStash server")

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Stop one, at once with all its workers unless told otherwise."""
        process = self._processes.pop(name)
        if how == signal.SIGKILL:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        process.wait(PATIENCE)

    def stop(self) -> None:
        for name in list(self._processes):
            self.kill(name, signal.SIGTERM)

    def final(self, job_id: str) -> JobExecution:
        """Wait until the job is in a final state and return it."""
        self.await_that(lambda: row_of(job_id).is_final, f"the end of job {job_id}")
        return row_of(job_id)

    def await_that(self, condition: Callable[[], object], what: str) -> None:
        wait_until(condition, lambda: f"{what}:\n{self.log()}", PATIENCE)

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def _start(self, name: str, command: list[str], **env: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**self.environment, **env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def enqueue_to(address: str, **options: object) -> str:
    given: Any = {"retry_delay": "100", **options}
    return send_password_changed_email_async(address, recipient_name="Ann", **given)


def in_dead_letters(producer: Flask, message_id: str | None) -> bool:
    with connect(producer.config["QSTASH_URL"]) as client:
        return message_id in {letter.message_id for letter in client.dlq.list().messages}
