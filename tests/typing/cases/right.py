"""Calls that are right; no type checker may say anything."""

from dataclasses import dataclass
from datetime import timedelta

from marshmallow import fields
from sqlalchemy.orm import Session

from app.jobs import FlowControl, Job, JobBlueprint, JobId, Jobs, PayloadSchema
from app.jobs.testing import make_job

bp = JobBlueprint("texts", __name__)


@dataclass(frozen=True)
class Text:
    to: str
    text: str = ""


class TextSchema(PayloadSchema[Text]):
    model = Text

    to = fields.String(required=True)
    text = fields.String()


@bp.job("send-text", "/text", payload=TextSchema, retries=3, timeout="5m", sealed=("text",))
def send_text(payload: Text, job: Job) -> dict[str, int]:
    return {"characters": len(payload.text)}


@bp.job("silent", "/silent", payload=TextSchema, retry_delay=timedelta(minutes=1))
def silent(payload: Text, job: Job) -> None:
    """Return nothing."""


@bp.job("waits", "/waits", payload=TextSchema)
async def waits(payload: Text, job: Job) -> dict[str, int]:
    return {"characters": len(payload.text)}


notify = Jobs().external("notify", schema=TextSchema, url="https://x.example", timeout=30)


def calls(session: Session) -> list[str]:
    job_id: JobId = send_text.enqueue(Text(to="+49"), user_id=7, session=session, delay="5m")
    both: list[JobId] = send_text.enqueue_many([Text("a"), Text("b")], organization_id="x")
    every: str = silent.schedule("@daily", Text(to="+49"), timezone="Europe/Berlin")
    limits = FlowControl(key="texts", rate=10, period="1m")
    waits.enqueue(Text(to="+49"), delay=timedelta(minutes=5))
    notify.enqueue(Text(to="+49"), idempotency_key="one", flow_control=limits, retries=0)
    characters: dict[str, int] = send_text(Text("a"), make_job())
    return [*map(str, characters), job_id, *both, every]
