"""The API's schemas of batches, workflows and signals."""

from typing import Any

from marshmallow import RAISE, fields, validate

from app.api.schemas import Text
from app.jobs import WireSchema
from app.jobs.kit import LONGEST_EVENT, JobIdField, OwnerIdField, OwnerIdQueryField
from app.jobs.operate import batches

_KIND = validate.OneOf([batches.BATCH, batches.WORKFLOW])
_STATE = validate.OneOf(batches.STATES)


class BatchFilterSchema(WireSchema[dict[str, Any]]):
    """Filters for batches, and the page."""

    model = dict

    class Meta:
        unknown = RAISE

    kind = fields.String(validate=_KIND)
    state = fields.String(validate=_STATE)
    organization_id = OwnerIdQueryField()
    after = Text(validate=validate.Length(1, 200))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class _ProgressSchema(WireSchema[Any]):
    """What is said of a batch wherever it is shown."""

    batch_id = fields.UUID(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, validate=_STATE)
    final = fields.Boolean(required=True)
    percent = fields.Integer(required=True, validate=validate.Range(0, 100))
    jobs = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    dead = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    ended_at = fields.DateTime(required=True, allow_none=True)
    kind = fields.String(validate=_KIND)
    user_id = OwnerIdField(allow_none=True)
    organization_id = OwnerIdField(allow_none=True)
    cancelled_at = fields.DateTime(allow_none=True)


class BatchSummarySchema(_ProgressSchema):
    """A batch in a list."""


class StepSchema(WireSchema[Any]):
    """A step of a workflow, or with a key what follows the end ("then", "on_failure")."""

    name = fields.String(required=True)
    state = fields.String(required=True)
    kind = fields.String()
    after = fields.List(fields.String())
    job_id = JobIdField(allow_none=True)
    job_type = fields.String(allow_none=True)
    event = fields.String(allow_none=True)
    jobs = fields.Integer()
    pending = fields.Integer()
    started_at = fields.DateTime(allow_none=True)
    due_at = fields.DateTime(allow_none=True)


class BatchSchema(_ProgressSchema):
    """A batch as its link shows it; with an API key, also the fields that are not required here."""

    steps = fields.List(fields.Nested(StepSchema), required=True)


class BatchPageSchema(WireSchema[Any]):
    """A page of batches, newest first; `after` requests the next."""

    batches = fields.List(fields.Nested(BatchSummarySchema), required=True)
    after = fields.String(required=True, allow_none=True)


class SignalSchema(WireSchema[dict[str, Any]]):
    """What has happened, and what is known of it."""

    model = dict

    class Meta:
        unknown = RAISE

    event = Text(required=True, validate=validate.Length(1, LONGEST_EVENT))
    data = fields.Dict(keys=fields.String(), load_default=dict)


class HeardSchema(WireSchema[Any]):
    """How many steps the signal has completed, or will when they begin."""

    heard = fields.Integer(required=True)
