"""Post events to the running app as Stripe does, and wait for their jobs."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import current_app
from sqlalchemy import select

from app.db import db
from app.families.stripe.source import stripe
from app.families.webhooks.models import WebhookEvent
from app.jobs import JobExecution, JobsError, get_job_execution_by_job_id
from app.jobs.cli.kit import state

PATIENCE, POLL_SECONDS = 10, 0.2


class SendingFailed(JobsError):
    """The event could not be sent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was posted, and its job."""

    event: dict[str, Any]
    status: int
    answer: str
    job: JobExecution | None = None

    @property
    def taken(self) -> bool:
        return self.status == HTTPStatus.OK

    @property
    def completed(self) -> bool:
        return self.job is not None and self.job.status == "completed"

    def as_json(self) -> dict[str, Any]:
        return {
            "event": self.event["type"],
            "eventId": self.event["id"],
            "status": self.status,
            "answer": self.answer,
            "jobId": self.job.job_id if self.job else None,
            "state": state(self.job) if self.job else None,
            "result": self.job.result if self.job else None,
            "error": self.job.error if self.job else None,
        }


def send(event: dict[str, Any], *, wait: float) -> Sent:
    """Sign and post an event, and wait for its job.

    Args:
        event: In Stripe's format.
        wait: Seconds to wait for the job to end.

    Raises:
        SendingFailed: No secret is set, or the app does not answer.
    """
    secrets = stripe.secrets(current_app.config)
    if not secrets:
        raise SendingFailed("STRIPE_WEBHOOK_SECRET is empty: set it to the app's secret")
    body = json.dumps(event).encode()
    signed = stripe.verifier.sign(body, secrets[0], delivery_id=event["id"])
    status, answer = _post(body, signed)
    taken = status == HTTPStatus.OK
    return Sent(event, status, answer, _wait(event["id"], wait) if taken else None)


def _post(body: bytes, signed: dict[str, str]) -> tuple[int, str]:
    url = f"{current_app.config['BASE_URL']}/api/stripe/webhook"
    headers = {"Content-Type": "application/json", **signed}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - BASE_URL is checked
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode(errors="replace").strip()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace").strip()
    except OSError as error:
        raise SendingFailed(
            f"no answer from {url} ({getattr(error, 'reason', error)}): start the app with "
            "`make dev`, or set BASE_URL to where it runs"
        ) from error


def _wait(event_id: str, seconds: float) -> JobExecution | None:
    """Return the event's job once it is final, or when the time is up."""
    give_up_at = time.monotonic() + seconds
    while True:
        db.session.rollback()
        job = _job(event_id)
        if (job and job.is_final) or time.monotonic() >= give_up_at:
            return job
        time.sleep(POLL_SECONDS)


def _job(event_id: str) -> JobExecution | None:
    query = select(WebhookEvent.job_id).where(
        WebhookEvent.source == "stripe", WebhookEvent.delivery_id == event_id
    )
    job_id = db.session.scalar(query)
    return get_job_execution_by_job_id(job_id) if job_id else None
