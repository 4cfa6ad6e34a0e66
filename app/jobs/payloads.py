"""From an envelope to what its handler gets: opened, upgraded, validated."""

import logging
from copy import deepcopy
from typing import Any

from marshmallow import ValidationError

from app.jobs import executions, redaction, sealing, versions
from app.jobs.errors import InvalidDelivery, InvalidPayload
from app.jobs.registry import JobConfig
from app.jobs.schemas import Envelope
from app.jobs.transactions import in_transaction

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
        if config.adapt is None or in_transaction(lambda tx: executions.made_here(tx, job_id)):
            raise
    log.info("[jobs] Payload of another producer", extra={"jobId": job_id, "type": config.type})
    adapted = config.adapt(deepcopy(payload))
    secrets += sealing.clear_texts(config.sealed, adapted)
    return config.schema.load(adapted)


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
