"""The API's schemas, to validate requests and to document answers."""

import re
from typing import Any, get_args

from marshmallow import RAISE, ValidationError, fields, validate

from app.jobs import EnqueuedAs, FlowControl, InvalidOption, Status, WireSchema
from app.jobs.kit import (
    LONGEST_EXPRESSION,
    LONGEST_NAME,
    LONGEST_PERIOD,
    LONGEST_TAG,
    LONGEST_URL,
    MAX_KEY_LENGTH,
    MOST_RETRIES,
    MOST_TAGS,
    JobIdField,
    OwnerIdField,
    OwnerIdQueryField,
    parse_duration,
)
from app.jobs.operate import pauses

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
#: Seconds: more would be beyond the calendar.
LONGEST_SPAN = 1000 * 365 * 24 * 60 * 60
#: Characters of a caller's name for a queue or flow-control key, which gets a prefix for its
#: organization.
MOST_OWN = LONGEST_NAME - 56
_COUNT = validate.Range(1, 1_000_000)
_STATUS = validate.OneOf([str(status) for status in Status])


class Text(fields.String):
    """A text that PostgreSQL can store."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if _UNSTORABLE.search(text):
            raise ValidationError("Must not contain NUL characters or unpaired surrogates.")
        return text


class Duration(fields.Field[float]):
    """Seconds, or a QStash duration; in a query, where all is text, digits are seconds."""

    def __init__(self, **options: Any) -> None:
        number = {"type": "number", "minimum": 0}
        part = "[0-9]{1,12}"
        units = "".join(f"({part}{unit})?" for unit in "dhms")
        text = {"type": "string", "pattern": f"^({part}|{units})$", "minLength": 1}
        said = 'Seconds, or a duration such as "1h30m".'
        super().__init__(**options, metadata={"anyOf": [number, text], "description": said})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        given = (
            int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else value
        )
        try:
            found = parse_duration("it", given)
        except InvalidOption as error:
            raise ValidationError(str(error).removeprefix("it: ")) from None
        if found > LONGEST_SPAN:
            raise ValidationError("Must be at most a thousand years.")
        return found


class RetryDelay(fields.Field[Any]):
    """Seconds, a duration, or QStash's expression in milliseconds."""

    _text = Text(validate=validate.Length(1, LONGEST_EXPRESSION))

    def __init__(self, **options: Any) -> None:
        text = {"type": "string", "minLength": 1, "maxLength": LONGEST_EXPRESSION}
        said = 'Seconds, a duration such as "5m", or an expression of milliseconds over `retried`.'
        kinds = [{"type": "number", "minimum": 0}, text]
        super().__init__(**options, metadata={"anyOf": kinds, "description": said})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value if type(value) in {int, float} else self._text.deserialize(value)


class Moment(fields.Field[Any]):
    """An aware date and time, or whole seconds since 1970, as QStash's own SDK takes them."""

    _date = fields.AwareDateTime(format="iso", default_timezone=None)

    def __init__(self, **options: Any) -> None:
        kinds = [{"type": "string", "format": "date-time"}, {"type": "integer"}]
        said = "A date and time with a zone, or seconds since 1970."
        super().__init__(**options, metadata={"anyOf": kinds, "description": said})

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return value if type(value) is int else self._date.deserialize(value)


class Tag(fields.String):
    """A name to find a job by."""

    def __init__(self, **options: Any) -> None:
        form = rf"[A-Za-z0-9][A-Za-z0-9._:/@-]{{0,{LONGEST_TAG - 1}}}\Z"
        super().__init__(**options, validate=validate.Regexp(form))


class FlowControlSchema(WireSchema[FlowControl]):
    """Limits shared by all messages with a key."""

    model = FlowControl

    class Meta:
        unknown = RAISE

    key = fields.String(
        required=True, validate=[validate.Length(1, MOST_OWN), validate.Regexp(r"[\x21-\x7e]+\Z")]
    )
    rate = fields.Integer(strict=True, validate=_COUNT)
    period = Duration(validate=validate.Range(1, LONGEST_PERIOD))
    parallelism = fields.Integer(strict=True, validate=_COUNT)


class EnqueueSchema(WireSchema[dict[str, Any]]):
    """A job to enqueue: the arguments of `app.jobs.enqueue`, by their names on the wire."""

    model = dict

    class Meta:
        unknown = RAISE

    type = Text(required=True, validate=validate.Length(1, 100))
    payload = fields.Dict(keys=fields.String(), required=True)
    user_id = OwnerIdField(allow_none=True)
    organization_id = OwnerIdField(allow_none=True)
    tags = fields.List(Tag(), validate=validate.Length(max=MOST_TAGS))
    idempotency_key = Text(allow_none=True, validate=validate.Length(1, MAX_KEY_LENGTH))
    idempotency_ttl = Duration()
    delay = Duration()
    not_before = Moment()
    retries = fields.Integer(strict=True, validate=validate.Range(0, MOST_RETRIES))
    retry_delay = RetryDelay()
    timeout = Duration()
    callback = Text(validate=validate.Length(1, LONGEST_URL))
    failure_callback = Text(validate=validate.Length(1, LONGEST_URL))
    queue = Text(validate=validate.Length(1, MOST_OWN))
    label = Text(validate=validate.Length(1, 200))
    flow_control = fields.Nested(FlowControlSchema)
    expires = Duration()


class EnqueuedSchema(WireSchema[dict[str, Any]]):
    """The result; `statusUrl` may be passed on to the job's user.

    It is null for a job that already existed, unless the key may read: someone else may have
    enqueued it first. `enqueuedAs` says what the enqueue came to: a new job, or, by an idempotency
    key or as the job is unique, another one.
    """

    job_id = JobIdField(required=True)
    existed = fields.Boolean(required=True)
    enqueued_as = fields.String(required=True, validate=validate.OneOf(get_args(EnqueuedAs)))
    status_url = fields.Url(required=True, allow_none=True)


class FilterSchema(WireSchema[dict[str, Any]]):
    """Filters for jobs, and the page."""

    model = dict

    class Meta:
        unknown = RAISE

    status = fields.String(validate=_STATUS)
    job_type = Text(data_key="type", validate=validate.Length(1, 100))
    dead = fields.Boolean(truthy={"true"}, falsy={"false"})
    user_id = OwnerIdQueryField()
    organization_id = OwnerIdQueryField()
    older_than = Duration()
    newer_than = Duration()
    error = Text(validate=validate.Length(1, 200))
    tag = Tag()
    message_id = Text(validate=validate.Length(1, 200))
    schedule_id = Text(validate=validate.Length(1, 200))
    batch_id = fields.UUID()
    after = Text(validate=validate.Length(1, 200))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class ProgressSchema(WireSchema[Any]):
    done = fields.Float(required=True)
    total = fields.Float(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    percent = fields.Integer(required=True, allow_none=True)


class _StateSchema(WireSchema[Any]):
    """What is said of a job wherever it is shown."""

    job_id = JobIdField(required=True)
    type = fields.String(required=True)
    status = fields.String(required=True, validate=_STATUS)
    final = fields.Boolean(required=True)
    error = fields.String(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)


class SummarySchema(_StateSchema):
    """A job in a list."""

    tags = fields.List(fields.String(), required=True)
    batch_id = fields.UUID(required=True, allow_none=True)
    user_id = OwnerIdField(required=True, allow_none=True)
    organization_id = OwnerIdField(required=True, allow_none=True)


class JobSchema(_StateSchema):
    """A job as its link shows it; with an API key, also the fields that are not required here."""

    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    result = fields.Raw(required=True, allow_none=True)
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    payload = fields.Raw()
    user_id = OwnerIdField(allow_none=True)
    organization_id = OwnerIdField(allow_none=True)
    idempotency_key = fields.String(allow_none=True)
    message_id = fields.String(allow_none=True)
    schedule_id = fields.String(allow_none=True)
    scheduled_for = fields.DateTime(allow_none=True)
    available_at = fields.DateTime(allow_none=True)
    generation = fields.Integer()
    tags = fields.List(fields.String())
    parent_id = fields.String(allow_none=True)
    batch_id = fields.UUID(allow_none=True)
    error_text = fields.String(allow_none=True)


class LogLineSchema(WireSchema[Any]):
    at = fields.DateTime(required=True)
    level = fields.String(required=True)
    logger = fields.String(required=True)
    message = fields.String(required=True)


class AttemptLogSchema(WireSchema[Any]):
    """The newest lines of one attempt, the oldest first; `leftOut` counts those before."""

    attempt = fields.Integer(required=True)
    left_out = fields.Integer(required=True)
    lines = fields.List(fields.Nested(LogLineSchema), required=True)


class LogsSchema(WireSchema[Any]):
    logs = fields.List(fields.Nested(AttemptLogSchema), required=True)


class PageSchema(WireSchema[Any]):
    """A page of jobs, newest first; `after` requests the next."""

    jobs = fields.List(fields.Nested(SummarySchema), required=True)
    after = fields.String(required=True, allow_none=True)
    searched_to = fields.DateTime(required=True, allow_none=True)


class JobTypeSchema(WireSchema[Any]):
    type = fields.String(required=True)
    description = fields.String(required=True)
    retries = fields.Integer(required=True)
    timeout = fields.Integer(required=True)
    queue = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True)
    sealed = fields.List(fields.String(), required=True)
    tags = fields.List(fields.String(), required=True)


class JobTypesSchema(WireSchema[Any]):
    job_types = fields.List(fields.Nested(JobTypeSchema), required=True)


class PauseRequestSchema(WireSchema[dict[str, Any]]):
    """Why something is paused, for those who will wonder."""

    model = dict

    class Meta:
        unknown = RAISE

    reason = Text(required=True, validate=validate.Length(1, pauses.MOST_REASON))


class PauseSchema(WireSchema[Any]):
    """What is paused; `waiting` counts the jobs in the outbox, up to 10,000."""

    kind = fields.String(
        required=True, validate=validate.OneOf([str(kind) for kind in pauses.Kind])
    )
    name = fields.String(required=True)
    reason = fields.String(required=True)
    by = fields.String(required=True)
    since = fields.DateTime(required=True)
    waiting = fields.Integer(required=True)


class PausesSchema(WireSchema[Any]):
    pauses = fields.List(fields.Nested(PauseSchema), required=True)


class ResumedSchema(WireSchema[Any]):
    """How many jobs were published at once, and how many are left to the next sweeps."""

    published = fields.Integer(required=True)
    left = fields.Integer(required=True)


class ProblemSchema(WireSchema[Any]):
    """RFC 9457; `errors` maps fields to messages."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.Dict(keys=fields.String(), values=fields.Raw())
