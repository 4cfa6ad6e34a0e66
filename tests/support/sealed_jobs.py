"""A family whose job has secrets in its payload, and a handler that quotes them when it fails."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from marshmallow import ValidationError, fields
from sqlalchemy import text

from app.db import db
from app.jobs import Job, JobBlueprint, PayloadSchema, PermanentError, RetryLater

bp = JobBlueprint("sealed", __name__)
#: What handlers were given, in order.
seen: list["DeadLetter"] = []


@dataclass(frozen=True, slots=True)
class DeadLetter:
    to: str
    link: str | None = None
    pin: int | None = None
    parts: list[dict[str, Any]] | None = None


class PartSchema(PayloadSchema[dict[str, Any]]):
    model = dict

    name = fields.String()
    token_value = fields.String()


def _talkative(value: str) -> None:
    if "bad" in value:
        raise ValidationError(f"{value!r} is bad.")
    if "bug" in value:
        raise RuntimeError(f"cannot parse {value}")


class LetterSchema(PayloadSchema[DeadLetter]):
    model = DeadLetter

    to = fields.String(required=True)
    link = fields.String(allow_none=True, validate=_talkative)
    pin = fields.Integer(allow_none=True)
    parts = fields.List(fields.Nested(PartSchema), allow_none=True)


@bp.job(
    "send-letter",
    "/letter",
    payload=LetterSchema,
    sealed=("link", "pin", "parts.tokenValue"),
)
def send_letter(payload: DeadLetter, job: Job) -> dict[str, Any] | None:
    seen.append(payload)
    link = payload.link or ""
    match payload.to:
        case "whole":
            raise ValueError(f"cannot fetch {link}: PIN {payload.pin} refused")
        case "path":
            parts = urlsplit(link)
            raise ConnectionError(f"host {parts.hostname}: retries exceeded: {parts.path}")
        case "quoted":
            raise PermanentError(f"GET /?next={quote(link, safe='')} and {link!r}")
        case "chained":
            try:
                return {"found": dict[str, str]()[link]}
            except KeyError as error:
                raise ValueError("no such link") from error
        case "later":
            raise RetryLater(30, f"{link} is not up yet")
        case "query":
            db.session.execute(text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": link})
        case "commit":
            db.session.execute(
                text("INSERT INTO effects (job_id, note) VALUES (CAST(:a AS uuid)::text, 'x')"),
                {"a": link},
            )
    return None
