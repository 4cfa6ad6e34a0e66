"""From an envelope to what its handler gets: opened, upgraded, validated."""

from typing import Any

from marshmallow import ValidationError

from app.jobs import redaction, sealing, versions
from app.jobs.errors import InvalidDelivery, InvalidPayload
from app.jobs.registry import JobConfig
from app.jobs.schemas import Envelope


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
        return config.schema.load(versions.upgrade(config, clear, envelope.version, job_id=job_id))
    except ValidationError as error:
        errors = redaction.hide_in(error.messages_dict, secrets)
        raise InvalidDelivery("the payload is invalid", errors, job_id=job_id) from None
    except InvalidDelivery as error:
        error.errors = redaction.hide_in(error.errors, secrets)
        raise


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
