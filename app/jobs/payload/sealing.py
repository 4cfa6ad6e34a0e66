"""Encrypted payload fields: plain text for the caller and the handler, encrypted in between.

On the wire and in the row a sealed value is `{"$sealed": token}`, and the envelope's `sealed` names
the fields that are. So what was enqueued before a field was sealed still runs, and so does what
was sealed before it no longer is.

A token (Fernet: AES-128-CBC, then HMAC-SHA256) holds what it was sealed for beside the value: job,
type and field. Someone who can write to the queue or the table can neither read a password's
reset link nor redirect it to themselves by moving it into another job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app
from flask.sansio.app import App

from ..errors import DiscoveryError, InvalidDelivery, JobsNotInitialised, PermanentError
from ..registry import JobConfig, registry_of
from ..schemas import Envelope
from ..values import jsonb
from ..values.nearest import hint

MARK = "$sealed"
LOST_KEY = (
    "It is damaged, or its key is not in JOBS_ENCRYPTION_KEYS: put the lost key at the end of them "
    "and retry the job."
)
NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)

_END_OF_NAME = b"\n"


def is_on(config: JobConfig, settings: Mapping[str, Any]) -> bool:
    """Tell whether a job type's fields are sealed: JOBS_SEAL and JOBS_UNSEALED may say no."""
    return settings["JOBS_SEAL"] == "true" and config.type not in _unsealed(settings)


def check_switches(app: App) -> None:
    """Check that what JOBS_UNSEALED names is there; raises `JobsNotInitialised`."""
    known = {config.type for config in registry_of(app)}
    for name in _unsealed(app.config):
        if name not in known:
            raise JobsNotInitialised(
                f"JOBS_UNSEALED: unknown job type {name!r}; {hint(name, sorted(known))}"
            )


def check_sealed(config: JobConfig, settings: Mapping[str, Any]) -> None:
    """Check at the start what a job type says of its sealed fields.

    Raises:
        DiscoveryError: A field that the payload's schema does not have.
        JobsNotInitialised: There is no key, or one is malformed; the message shows none.
    """
    if not config.sealed:
        return
    keys = settings["JOBS_ENCRYPTION_KEYS"]
    known = {str(field.data_key) for field in config.schema.fields.values()}
    unknown = [path for path in config.sealed if path.partition(".")[0] not in known]
    if unknown:
        raise DiscoveryError(
            f"job type {config.type!r} seals {config.sealed!r}, which must be a tuple of its "
            f"payload's fields, dotted and in camel case; the first parts are: {sorted(known)}"
        )
    if not is_on(config, settings):
        return
    try:
        _vault(keys or "")
    except ValueError:
        raise JobsNotInitialised(
            f"set JOBS_ENCRYPTION_KEYS, as job type {config.type!r} seals fields: Fernet keys with "
            f"commas between them, the newest first; make one with {NEW_KEY}"
        ) from None


def seal(config: JobConfig, payload: dict[str, Any], job_id: str | None) -> dict[str, Any]:
    """Return a payload as the envelope's members.

    Args:
        config: Its type, which says what is sealed. What is missing or null stays so. Where a path
            leads through a list, it means the field of each item.
        payload: The validated wire form; not changed.
        job_id: The only job for which it will open. None for a schedule, whose firings are jobs of
            their own: its fields open in any job of the type.
    """
    sealed = []
    for path in config.sealed if is_on(config, current_app.config) else ():
        before = payload
        payload = _changed(before, path.split("."), _sealer([job_id, config.type, path]))
        if payload != before:
            sealed.append(path)
    return {"payload": payload, "sealed": sealed} if sealed else {"payload": payload}


def blank(config: JobConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload in clear without the values of the fields that its type seals."""
    for path in config.sealed:
        payload = _changed(payload, path.split("."), lambda _: None)
    return payload


def unseal(envelope: Envelope, job_id: str) -> dict[str, Any]:
    """Return an envelope's payload in clear; the envelope stays as it is.

    Raises:
        InvalidDelivery: A field cannot be opened; the message says how to fix it.
    """
    payload = envelope.payload
    for path in reversed(envelope.sealed):
        opener = _opener([job_id, envelope.type, path])
        try:
            payload = _changed(payload, path.split("."), opener)
        except _CannotOpen as error:
            errors = {path: [str(error)]}
            message = "the sealed payload cannot be opened"
            raise InvalidDelivery(message, errors, job_id=job_id) from None
    return payload


def clear_texts(paths: Sequence[str], payload: Any) -> list[str]:
    """Return the texts and numbers at the given paths of a payload in clear."""
    found: list[Any] = []
    for path in paths:
        _changed(payload, path.split("."), found.append)
    return [text for value in found for text in _texts(value)]


def seal_bytes(content: bytes, *, bound_to: str) -> bytes:
    """Encrypt what is kept outside of a job, to be opened only under the same name."""
    return _vault(_keys()).encrypt(bound_to.encode() + _END_OF_NAME + content)


def open_bytes(sealed: bytes, *, bound_to: str) -> bytes:
    """Decrypt what `seal_bytes` returned.

    Raises:
        PermanentError: It is damaged, was sealed under another name, or its key is not among
            JOBS_ENCRYPTION_KEYS.
    """
    try:
        opened = _vault(_keys()).decrypt(sealed)
    except InvalidToken:
        raise PermanentError(LOST_KEY) from None
    name, _, content = opened.partition(_END_OF_NAME)
    if name != bound_to.encode():
        raise PermanentError(f"What is sealed was not sealed for {bound_to}.")
    return content


class _CannotOpen(Exception):
    pass


def _sealer(bound: list[str | None]) -> Callable[[Any], Any]:
    def sealed(value: Any) -> dict[str, str]:
        content = jsonb.dumps([*bound, value]).encode()
        return {MARK: _vault(_keys()).encrypt(content).decode()}

    return sealed


def _opener(bound: list[str]) -> Callable[[Any], Any]:
    def opened(value: Any) -> Any:
        if not isinstance(value, dict) or value.keys() != {MARK}:
            return value
        try:
            content = _vault(_keys()).decrypt(str(value[MARK]))
        except (InvalidToken, ValueError):
            raise _CannotOpen(LOST_KEY) from None
        job_id, *rest, clear = jsonb.loads(content.decode())
        if job_id not in {None, bound[0]} or rest != bound[1:]:
            raise _CannotOpen("It was sealed for another job or field.")
        return clear

    return opened


def _changed(value: Any, path: Sequence[str], change: Callable[[Any], Any]) -> Any:
    """Return a copy in which what stands at the path is changed."""
    if value is None:
        return None
    if not path:
        return change(value)
    if isinstance(value, list):
        return [_changed(item, path, change) for item in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _changed(value[path[0]], path[1:], change)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _unsealed(settings: Mapping[str, Any]) -> list[str]:
    return [name.strip() for name in settings["JOBS_UNSEALED"].split(",") if name.strip()]


def _keys() -> str:
    return str(current_app.config["JOBS_ENCRYPTION_KEYS"])


@lru_cache(maxsize=8)
def _vault(keys: str) -> MultiFernet:
    """Return what seals with the first key and opens with any; raises `ValueError`."""
    return MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
