"""The payload of a job type whose worker is elsewhere."""

from dataclasses import dataclass

from marshmallow import fields

from app.jobs import PayloadSchema


@dataclass(frozen=True, slots=True)
class Notification:
    title: str
    body: str | None = None


class NotificationSchema(PayloadSchema[Notification]):
    model = Notification

    title = fields.String(required=True)
    body = fields.String(allow_none=True)
