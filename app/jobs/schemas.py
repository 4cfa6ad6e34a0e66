"""The wire format: camelCase JSON outside, frozen dataclasses inside.

The envelope is shared with the TypeScript starter, so both can enqueue to and execute for each
other: `{"jobId", "type", "payload", "metadata": {"userId"?, "organizationId"?,
"idempotencyKey"?, "createdAt"}}`. Others are our own, and there only when used: `version` of the
payload, and `sealed`, the names of its encrypted fields; in the metadata `edition`, of one that
took another one's place, of a schedule's firing `cron`, `tags` and `scheduleRules`, and on the row
alone `runBy`, who ran it by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, get_args

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate

from .errors import InvalidDelivery, InvalidOption
from .values.firing_rules import CatchUp, Overlap, Rules
from .values.ids import JobIdField, OwnerId, OwnerIdField, check_owner_id, is_job_id
from .values.nearest import nearest
from .values.tags import check_tags

#: Characters that a job type's name may have.
LONGEST_TYPE = 100

T = TypeVar("T")


def camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class WireSchema(Schema, Generic[T]):
    """snake_case attributes in Python, camelCase keys on the wire; loads to `model`."""

    model: ClassVar[type[Any]]

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.data_key = field_obj.data_key or camel_case(field_name)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> T:
        built: T = self.model(**data)
        return built


class PayloadSchema(WireSchema[T]):
    """The base of every job's payload schema: an unknown key is an error.

    Subclass it as `PayloadSchema[MyPayload]` with `model = MyPayload`, a frozen dataclass.
    """

    class Meta:
        unknown = RAISE

    def written(self, payload: Any) -> dict[str, Any]:
        """Return a dataclass as the wire has it.

        Raises:
            ValidationError: A value is not what its field takes, as the same one in JSON would be.
        """
        errors = {} if self._hooks["pre_dump"] else _unwritable(self, payload, _is_text)
        if not errors:
            try:
                written: dict[str, Any] = self.dump(payload)
            except _UNWRITABLE:
                errors = _unwritable(self, payload, _is_written)
            else:
                return written
        raise ValidationError(errors or {"payload": ["Cannot be written as JSON."]})

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> None:
        """Suggest the key that was probably meant, if a given one is unknown."""
        known = [str(field.data_key) for field in self.load_fields.values()]
        for key, said in error.messages_dict.items():
            if said == [self.error_messages["unknown"]] and isinstance(key, str):
                near = nearest(key, known)
                said[:] = [f"Unknown field; did you mean: {near[0]}?"] if near else said


#: What marshmallow's fields raise for a value of another kind.
_UNWRITABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_Check = Callable[[Schema, fields.Field[Any], str, Any], bool]


def _unwritable(schema: Schema, payload: Any, is_good: _Check) -> dict[str, Any]:
    """Return what is wrong by field, as loading would say it."""
    errors: dict[str, Any] = {}
    for name, field in schema.dump_fields.items():
        value = schema.get_attribute(payload, field.attribute or name, None)
        if value is None:
            continue
        if isinstance(field, fields.Nested) and not field.many:
            wrong: Any = _unwritable(field.schema, value, is_good)
        else:
            said = str(field.error_messages.get("invalid", "Not a valid value."))
            said = said.format(input="it", obj_type=getattr(field, "OBJ_TYPE", "value"))
            wrong = None if is_good(schema, field, name, payload) else [said]
        if wrong:
            errors[field.data_key or name] = wrong
    return errors


def _is_text(schema: Schema, field: fields.Field[Any], name: str, payload: Any) -> bool:
    """Tell whether a field of text has one: it would write anything as a text.

    Those that load to something else, such as UUIDs, write that.
    """
    if type(field)._deserialize is not fields.String._deserialize:  # noqa: SLF001 - its one seam
        return True
    return isinstance(schema.get_attribute(payload, field.attribute or name, None), str)


def _is_written(schema: Schema, field: fields.Field[Any], name: str, payload: Any) -> bool:
    try:
        field.serialize(name, payload, accessor=schema.get_attribute)
    except _UNWRITABLE:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OfSchedule:
    """The schedule whose firings a message is of, where it has rules."""

    id: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Metadata:
    """A job's owner and origin.

    Attributes:
        cron: That of its schedule.
        tags: Of a schedule's jobs; None for those of their type.
        edition: Of a unique job whose payload was replaced: by which enqueue.
    """

    user_id: OwnerId | None = None
    organization_id: OwnerId | None = None
    idempotency_key: str | None = None
    created_at: datetime | None = None
    cron: str | None = None
    tags: tuple[str, ...] | None = None
    schedule: OfSchedule | None = None
    edition: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One job as it travels; `payload` is still unchecked JSON.

    Attributes:
        version: Of the payload.
        sealed: Which fields of the payload are encrypted.
    """

    type: str
    payload: dict[str, Any]
    metadata: Metadata
    job_id: str | None = None
    version: int = 1
    sealed: tuple[str, ...] = ()

    @property
    def is_firing(self) -> bool:
        """Whether it is a schedule's; each of its firings is a separate job."""
        return self.job_id is None or self.metadata.cron is not None


class _Tags(fields.Field[tuple[str, ...] | None]):
    """Tags; None for what can be none, which other producers may mean something else by."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...] | None:
        try:
            return check_tags("tags", value)
        except InvalidOption:
            return None


class OfScheduleSchema(WireSchema[OfSchedule]):
    model = OfSchedule

    class Meta:
        unknown = EXCLUDE

    id = fields.String(required=True, validate=validate.Length(1, 255))
    overlap = fields.String(validate=validate.OneOf(get_args(Overlap)))
    catch_up = fields.String(validate=validate.OneOf(get_args(CatchUp)))
    jitter = fields.Integer(strict=True, validate=validate.Range(0))
    expires = fields.Integer(strict=True, validate=validate.Range(0))
    delay = fields.Integer(strict=True, validate=validate.Range(0))

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> OfSchedule:
        return OfSchedule(data.pop("id"), Rules(**data))


class MetadataSchema(WireSchema[Metadata]):
    model = Metadata

    class Meta:
        unknown = EXCLUDE

    user_id = OwnerIdField(allow_none=True)
    organization_id = OwnerIdField(allow_none=True)
    idempotency_key = fields.String(allow_none=True, validate=validate.Length(1, 255))
    created_at = fields.AwareDateTime(format="iso", default_timezone=None, allow_none=True)
    cron = fields.String(allow_none=True)
    tags = _Tags(allow_none=True)
    schedule = fields.Nested(OfScheduleSchema, allow_none=True, data_key="scheduleRules")
    edition = fields.String(allow_none=True)


class EnvelopeSchema(WireSchema[Envelope]):
    model = Envelope

    class Meta:
        unknown = EXCLUDE

    job_id = JobIdField(allow_none=True)
    type = fields.String(required=True, validate=validate.Length(1, LONGEST_TYPE))
    payload = fields.Dict(keys=fields.String(), required=True)
    metadata = fields.Nested(MetadataSchema, load_default=Metadata)
    version = fields.Integer(strict=True, validate=validate.Range(1))
    sealed = fields.List(fields.String())

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Envelope:
        sealed = tuple(data.pop("sealed", ()))
        return Envelope(**data, sealed=sealed)


_envelopes = EnvelopeSchema()


def load_envelope(raw: Any) -> Envelope:
    """Return an envelope from its JSON; raises `InvalidDelivery`."""
    usual = _usual(raw)
    if usual is not None:
        return usual
    try:
        envelope: Envelope = _envelopes.load(raw)
    except ValidationError as error:
        raise InvalidDelivery("the envelope is broken", error.messages_dict) from error
    return envelope


def _usual(raw: Any) -> Envelope | None:
    """Return an envelope that has no more than `enqueue` writes for most jobs; None for others.

    It is what the schema makes of it, at a fifth of the cost. Each delivery brings one.
    """
    match raw:
        case {
            "jobId": str(job_id),
            "type": str(job_type),
            "payload": dict(payload),
            "metadata": {"createdAt": str(created_at), **owner},
        } if len(raw) == 4 and owner.keys() <= {"userId", "organizationId"}:  # noqa: PLR2004 - these
            pass
        case _:
            return None
    try:
        ids = {name: check_owner_id(str(name), value) for name, value in owner.items()}
        created = datetime.fromisoformat(created_at)
    except (ValueError, InvalidOption):
        return None  # the schema says why
    if created.tzinfo is None or not is_job_id(job_id) or not 0 < len(job_type) <= LONGEST_TYPE:
        return None
    metadata = Metadata(ids.get("userId"), ids.get("organizationId"), created_at=created)
    return Envelope(job_type, payload, metadata, job_id)
