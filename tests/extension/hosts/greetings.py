"""The jobs of both apps: as a module that the API registers, as a family's of the shop."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import current_app
from flask_qstash_jobs import FlowControl, Job, JobBlueprint, PayloadSchema, periodic
from marshmallow import fields

bp = JobBlueprint("greetings", __name__)


@dataclass
class Greeting:
    text: str


class GreetingSchema(PayloadSchema[Greeting]):
    model = Greeting
    text = fields.String(required=True)


@periodic("0 6 * * *", {"text": "morning"})
@bp.job("greet", "/greet", payload=GreetingSchema, flow_control=FlowControl(key="g", rate=50))
def greet(payload: Greeting, job: Job) -> dict[str, Any]:
    database = current_app.extensions["sqlalchemy"]
    model = next(iter(database.Model.registry.mappers)).class_
    key = UUID(job.user_id) if model.__tablename__ == "user" else job.user_id
    user = database.session.get(model, key)
    user.greeted = payload.text
    if payload.text == "again" and job.attempt == 1:
        raise ConnectionError("not yet")
    return {"at": datetime.now(UTC), "price": Decimal("1.50"), "by": UUID(int=7), "as": payload}
