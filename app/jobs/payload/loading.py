"""From an envelope to what its handler gets: opened, upgraded, validated; and what that gives back.

A payload may outlive the code: a type of version n has an upgrade function from each version before
it to the next, and its envelopes say `"version": n`; without it they are of version 1.
"""

import logging
from contextlib import suppress
from copy import deepcopy
from dataclasses import is_dataclass
from typing import Any

from flask import current_app, g
from flask.json.provider import DefaultJSONProvider
from marshmallow import Schema, ValidationError, fields, missing

from ..errors import (
    DiscoveryError,
    InvalidDelivery,
    InvalidPayload,
    NewerPayload,
    PermanentError,
)
from ..registry import JobConfig
from ..schemas import Envelope
from ..table import job_rows
from ..table.db import in_transaction
from ..values import jsonb, results
from . import failures, redaction, sealing

log = logging.getLogger(__name__)

#: Seconds to wait for newer code: four times longer at each retry, and long before the last.
FIRST_WAIT, LONGEST_WAIT = 30, 600


def load_payload(config: JobConfig, envelope: Envelope, job_id: str) -> Any:
    """Return a payload as the type's schema loads it.

    From here on `redaction.scrub` hides what is sealed.

    Raises:
        NewerPayload: Only newer code understands it.
        InvalidDelivery: No retry can help.
        BaseException: Whatever a validator raises by mistake.
    """
    g.pop(redaction.KEPT_IN, None)  # by what came before it in the same context, if in a test
    _refuse_newer(config, envelope.version)
    clear, secrets = envelope.payload, []
    if sealed := [*envelope.sealed, *config.sealed]:
        clear = sealing.unseal(envelope, job_id)
        secrets = sealing.clear_texts(sealed, clear)
        redaction.remember(secrets)
    try:
        current = upgraded(config, clear, envelope.version, job_id)
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
    log.info("[jobs] Payload adapted", extra={"jobId": job_id, "type": config.type})
    adapted = config.adapt(deepcopy(payload))
    secrets += sealing.clear_texts(config.sealed, adapted)
    return config.schema.load(adapted)


def _refuse_newer(config: JobConfig, version: int) -> None:
    """Raise `NewerPayload` for a payload that only newer code understands."""
    if version > config.version:
        raise NewerPayload(
            f"the payload is of version {version}, and this code knows {config.type!r} up to "
            f"version {config.version}"
        )


def upgraded(
    config: JobConfig, payload: dict[str, Any], version: int, job_id: str
) -> dict[str, Any]:
    """Take an older payload to the present version, step by step, on a copy.

    Raises:
        InvalidDelivery: A step fails, or returns no dict.
    """
    payload = deepcopy(payload) if version < config.version else payload
    for step in range(version, config.version):
        try:
            payload = config.upgrades[step](payload)
            if not isinstance(payload, dict):
                raise TypeError(f"it returned no dict but {type(payload).__name__}")  # noqa: TRY301 - refused like all else
        except BaseException as error:  # noqa: BLE001 - a function of the author's may raise anything
            message = f"the payload cannot be upgraded from version {step} to {step + 1}"
            errors = {"payload": [failures.describe(error).error]}
            raise InvalidDelivery(message, errors, job_id=job_id) from None
    return payload


def wait_for_newer_code(config: JobConfig, retried: int) -> int:
    """Return for how many seconds QStash should wait: its retries must outlast a deploy."""
    if retried + 1 >= config.retries:
        return LONGEST_WAIT
    return int(min(FIRST_WAIT * 4**retried, LONGEST_WAIT))


def version_member(config: JobConfig) -> dict[str, int]:
    """Return what an envelope says of its payload's version."""
    return {"version": config.version} if config.version > 1 else {}


def check_upgrades(config: JobConfig) -> None:
    """Check at the start that every older version can be upgraded; raises `DiscoveryError`."""
    older = range(1, config.version)
    missing = [version for version in older if version not in config.upgrades]
    if missing:
        raise DiscoveryError(
            f"job type {config.type!r} has version {config.version} and no upgrade function from: "
            f"{', '.join(map(str, missing))}"
        )
    beyond = sorted(set(config.upgrades) - set(older))
    if beyond:
        raise DiscoveryError(
            f"job type {config.type!r} has version {config.version} and upgrades from {beyond}: "
            "raise its version, or take them out"
        )


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


def checked_result(result: Any) -> dict[str, Any] | None:
    """Return what a handler returned, with what has a usual form in JSON said in that.

    Raises:
        PermanentError: It is not a dict of values that can be said in JSON, or None.
    """
    if result is None:
        return None
    if is_dataclass(result) and not isinstance(result, type):
        result = jsonb.said(result)
    if not isinstance(result, dict):
        raise PermanentError(f"a handler returns a dict or None, not {type(result).__name__}")
    try:
        encoded = jsonb.dumps(result, default=_said)
    except ValueError as error:
        raise PermanentError(f"the handler's result cannot be stored as JSON: {error}") from error
    if (size := len(encoded.encode())) > results.LARGEST:
        return results.cut(size)
    checked: dict[str, Any] = jsonb.loads(encoded)
    return checked


def _said(value: Any) -> Any:
    """Say a value in JSON as the app's own provider does, or else in its usual form."""
    provider: Any = current_app.json
    if getattr(type(provider), "dumps", None) is not DefaultJSONProvider.dumps:
        return provider.loads(provider.dumps(value))
    if provider.default is not DefaultJSONProvider.default:
        with suppress(TypeError):
            return provider.default(value)
    return jsonb.said(value)


def checked_state(state: Any, *, before: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a handler wants to go on from.

    Raises:
        PermanentError: It is not a dict of JSON values, too large, or what this leg began with.
    """
    if not isinstance(state, dict):
        raise PermanentError(f"Continue takes a dict of JSON values, not {type(state).__name__}")
    try:
        encoded = jsonb.dumps(state)
    except ValueError as error:
        raise PermanentError(f"Continue's state cannot be stored as JSON: {error}") from error
    if (size := len(encoded.encode())) > results.LARGEST:
        limit = f"more than {results.LARGEST}: keep what is large elsewhere, and its place here"
        raise PermanentError(f"Continue's state has {size} bytes, {limit}")
    checked: dict[str, Any] = jsonb.loads(encoded)
    if checked == before:
        raise PermanentError(
            "Continue was raised with the state that this leg began with, so the job would never "
            "end: let the state tell how far it has come"
        )
    return checked
