"""From an envelope to what its handler gets: opened, upgraded, validated."""

import logging
from copy import deepcopy
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from ..errors import InvalidDelivery, InvalidPayload
from ..registry import JobConfig
from ..schemas import Envelope
from ..table import job_rows
from ..table.transactions import in_transaction
from . import redaction, sealing, versions

log = logging.getLogger(__name__)


def read(config: JobConfig, envelope: Envelope, job_id: str) -> Any:
    """Return a payload as the type's schema loads it.

    From here on `redaction.scrub` hides what is sealed.

    Raises:
        NewerPayload: Only newer code understands it.
        InvalidDelivery: No retry can help.
        BaseException: Whatever a validator raises by mistake.
    """
    redaction.remember([])
    versions.refuse_newer(config, envelope.version)
    clear = sealing.unseal(envelope, job_id)
    secrets = sealing.clear_texts([*envelope.sealed, *config.sealed], clear)
    redaction.remember(secrets)
    try:
        current = versions.upgrade(config, clear, envelope.version, job_id=job_id)
        return _loaded(config, current, job_id, secrets)
    except ValidationError as error:
        errors = redaction.hide_in(error.messages_dict, secrets)
        raise InvalidDelivery("Invalid job payload", errors, job_id=job_id) from None
    except InvalidDelivery as error:
        error.errors = redaction.hide_in(error.errors, secrets)
        raise


def _loaded(config: JobConfig, payload: dict[str, Any], job_id: str, secrets: list[str]) -> Any:
    """Return a payload as the schema loads it, another producer's in that one's form, too."""
    try:
        return config.schema.load(payload)
    except ValidationError:
        if config.adapt is None or in_transaction(lambda tx: job_rows.made_here(tx, job_id)):
            raise
    log.info("[jobs] Payload of another producer", extra={"jobId": job_id, "type": config.type})
    adapted = config.adapt(deepcopy(payload))
    secrets += sealing.clear_texts(config.sealed, adapted)
    return config.schema.load(adapted)


def dump(schema: Schema, loaded: Any) -> dict[str, Any]:
    """Return a payload as the wire has it: what is optional and null is left out.

    To a worker in TypeScript, an optional field may be missing, but not null.
    """
    return _without_nulls(schema, schema.dump(loaded))


def _without_nulls(schema: Schema, wire: dict[str, Any]) -> dict[str, Any]:
    for name, field in schema.fields.items():
        key = field.data_key or name
        if wire.get(key) is None:
            if key in wire and _means_null(schema, name, field):
                del wire[key]
        elif isinstance(field, fields.Nested):
            for item in wire[key] if field.many else [wire[key]]:
                _without_nulls(field.schema, item)
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            for item in wire[key]:
                if item is not None:
                    _without_nulls(field.inner.schema, item)
    return wire


def _means_null(schema: Schema, name: str, field: fields.Field[Any]) -> bool:
    """Tell whether leaving a field out says the same as null."""
    if field.required or field.load_default not in (None, missing):
        return False
    model = getattr(schema, "model", None)
    defaults = getattr(model, "__dataclass_fields__", {})
    return field.load_default is None or (name in defaults and defaults[name].default is None)


def load_given(config: JobConfig, given: Any) -> Any:
    """Return a payload that a caller gives, as the type's schema loads it.

    Raises:
        InvalidPayload: It does not fit the schema.
    """
    try:
        return config.schema.load(given)
    except ValidationError as error:
        secrets = sealing.clear_texts(config.sealed, given)
        errors = redaction.hide_in(error.messages_dict, secrets)
        raise InvalidPayload(config.type, errors) from None
