"""What a `send-email` job carries: an address, a template's name, and that template's data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from app.families.email.fields import address, line
from app.families.email.template import TEMPLATES, get_template
from app.jobs import PayloadSchema


@dataclass(frozen=True, slots=True)
class SendEmail:
    """One email to send.

    Attributes:
        data: What the template needs, in Python's names (`reset_url`); `resetUrl` on the wire.
        subject: Replaces the template's own.
    """

    to: str
    template: str
    data: dict[str, Any]
    subject: str | None = None


class TemplateData(fields.Dict):
    """The template's data, checked and translated by the schema of the `template` field."""

    def _deserialize(
        self, value: object, attr: str | None, data: Mapping[str, object] | None, **rest: object
    ) -> dict[str, Any]:
        given: dict[str, Any] = super()._deserialize(value, attr, data, **rest)  # type: ignore[no-untyped-call] # theirs
        template = TEMPLATES.get(str((data or {}).get("template")))
        return template.schema.load(given) if template else given  # unknown: reported on `template`

    def _serialize(
        self, value: object, attr: str | None, obj: object, **rest: object
    ) -> dict[str, Any] | None:
        template = TEMPLATES.get(str(getattr(obj, "template", None)))
        given: dict[str, Any] | None = super()._serialize(value, attr, obj, **rest)  # type: ignore[no-untyped-call] # theirs
        return template.schema.dump(given) if template else given


class SendEmailSchema(PayloadSchema[SendEmail]):
    model = SendEmail

    to = address()
    template = fields.String(
        required=True,
        validate=get_template,
        metadata={"description": "The name of a template.", "example": "passwordChanged"},
    )
    data = TemplateData(
        required=True,
        metadata={"description": "What the template needs.", "example": {"recipientName": "Ada"}},
    )
    subject = line(required=False)
