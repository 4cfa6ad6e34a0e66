"""What the guide's examples run on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask

from app.dev.resend_server import Request, ResendServer
from app.jobs import JobExecution
from app.jobs.testing import wait_for
from tests.support.http_server import HttpServer
from tests.support.waiting import wait_until

PATIENCE = 40


@dataclass
class Stack:
    """What runs.

    Attributes:
        elsewhere: The server that stands at https://example.com.
    """

    app: Flask
    resend: ResendServer
    elsewhere: HttpServer

    def completed(self, job_id: str) -> JobExecution:
        """Wait until QStash has delivered the job, and it has completed."""
        return wait_for(job_id, "completed", timeout=PATIENCE)

    def email(self, job_id: str) -> dict[str, Any]:
        """Return what Resend got from a job, once it has completed."""
        result = self.completed(job_id).result or {}
        return self._sent(result["messageId"]).params

    def await_that(self, condition: Callable[[], object]) -> None:
        wait_until(condition, seconds=PATIENCE)

    def _sent(self, message_id: str) -> Request:
        [sent] = [one for one in self.resend.sent if one.email_id == message_id]
        return sent
