"""A family of unique jobs: one with the same action, the newest letter to each address."""

from dataclasses import dataclass

from marshmallow import fields

from app.jobs import Job, JobBlueprint, PayloadSchema, PermanentError, Unique
from tests.support.sample_jobs import Sample, SampleSchema

bp = JobBlueprint("unique", __name__)
#: The secrets that handlers were given, in order.
opened: list[str] = []


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    secret: str


class LetterSchema(PayloadSchema[Letter]):
    model = Letter

    to = fields.String(required=True)
    secret = fields.String(required=True)


@bp.job("one", "/one", payload=SampleSchema, unique=Unique(fields=("action",)))
def one(payload: Sample, job: Job) -> None:
    """Fail for good, or do nothing."""
    if payload.action == "permanent":
        raise PermanentError("no")


@bp.job("only", "/only", payload=SampleSchema, unique=Unique(on_conflict="raise"))
def only(payload: Sample, job: Job) -> None:
    """Do nothing."""


@bp.job("newest", "/newest", payload=SampleSchema, unique=Unique(fields=(), debounce="30s"))
def newest(payload: Sample, job: Job) -> None:
    """Do nothing."""


@bp.job("letter", "/letter", payload=LetterSchema, sealed=("secret",))
def letter(payload: Letter, job: Job) -> None:
    opened.append(payload.secret)
