"""Read a request, in the order that touches the fewest bytes of an unverified sender."""

import logging
import re
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, NoReturn

from flask import abort, current_app, request

from app.families.webhooks.sources import Source
from app.families.webhooks.verifiers import SignatureError
from app.jobs.events import SignatureFailed, emit
from app.jobs.kit import jsonb

log = logging.getLogger(__name__)

_FORM = "application/x-www-form-urlencoded"
_NAME = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT = ("Content-Type", "User-Agent")
_KEPT_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A webhook whose sender is verified.

    Attributes:
        body: The bytes that were signed.
        data: The body as JSON.
        headers: Those that the inbox keeps, by lower-case name.
        has_signed_id: Whether the signature covers the id; otherwise anyone may have changed it.
    """

    source: Source
    event: str
    delivery_id: str
    body: bytes
    data: Any
    headers: dict[str, str]
    ip_address: str | None
    has_signed_id: bool = False


def read(source: Source) -> Incoming:
    """Read the current request.

    1. Check its headers: 503 without a secret, 415 for anything but JSON, 413 if too large.
    2. Read the bytes, up to the limit.
    3. Verify their signature: 401. Up to here, nothing of the body is stored, logged or parsed.
    4. Parse them: 400 names the field, the reason and the fix.
    """
    secrets = _secrets(source)
    _refuse_other_than_json()
    body = _body(_largest(source))
    signed_id = _verify(source, body, secrets)
    data = _parse(body)
    return Incoming(
        source=source,
        event=_event(source, data),
        delivery_id=_delivery_id(source, data, signed_id) or _digest(body),
        has_signed_id=bool(signed_id or source.id_field),
        body=body,
        data=data,
        headers=_kept(source),
        ip_address=_address(request.remote_addr),
    )


def _secrets(source: Source) -> list[str]:
    secrets = source.secrets(current_app.config)
    if source.is_verified and not secrets:
        about = {"source": source.name, "setting": source.setting}
        log.error("[webhooks] Secret not configured", extra=about)
        abort(HTTPStatus.SERVICE_UNAVAILABLE, "This source is not configured yet.")
    return secrets


def _refuse_other_than_json() -> None:
    if request.is_json:
        return
    given = request.mimetype
    hint = " Choose the content type application/json in the sender's webhook settings."
    abort(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"Content-Type: must be application/json.{hint if given == _FORM else ''}",
    )


def _largest(source: Source) -> int:
    """Return the limit of a body in bytes; a job that carries all of it must be deliverable."""
    config = current_app.config
    largest = int(config["WEBHOOK_MAX_BODY"])
    return min(largest, config["JOBS_MAX_BODY"] // 2) if source.job else largest


def _body(largest: int) -> bytes:
    # One more than allowed: without a length (chunked), werkzeug silently truncates a body.
    request.max_content_length = largest + 1
    body = request.get_data(cache=False)
    if len(body) > largest:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


def _verify(source: Source, body: bytes, secrets: list[str]) -> str | None:
    try:
        return source.verifier.verify(request.headers, body, secrets)
    except SignatureError as error:
        reason = str(error)
        emit(SignatureFailed(source.name))
        log.warning(
            "[webhooks] Invalid signature",
            extra={"source": source.name, "reason": reason, "ip": request.remote_addr},
        )
        abort(HTTPStatus.UNAUTHORIZED, f"The signature is {reason}.")


def _parse(body: bytes) -> Any:
    try:
        return jsonb.loads(body.decode())
    except ValueError as error:
        _refuse("body", f"not JSON in UTF-8: {error}")


def _event(source: Source, data: Any) -> str:
    where = source.event_header or str(source.event_field)
    found = request.headers.get(where) if source.event_header else _field(data, where)
    return _checked(where, found)


def _delivery_id(source: Source, data: Any, signed_id: str | None) -> str | None:
    """Return the sender's id, or None if the source is declared without one.

    A signed id wins over any other header.
    """
    if source.id_field:
        return _checked(source.id_field, _field(data, source.id_field))
    if signed_id:
        return _checked("webhook-id", signed_id)
    if not source.id_headers:
        return None
    found = [request.headers[name] for name in source.id_headers if name in request.headers]
    return _checked(source.id_headers[0], found[0] if found else None)


def _digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


def _checked(where: str, found: Any) -> str:
    if found is None:
        _refuse(where, "missing")
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        _refuse(where, "must be a text of 1 to 200 visible ASCII characters")
    return found


def _field(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _kept(source: Source) -> dict[str, str]:
    names = (*_KEPT, *source.keep)
    found = {name.lower(): request.headers.get(name) for name in names}
    return {name: value[:_KEPT_LENGTH] for name, value in found.items() if value}


def _address(given: str | None) -> str | None:
    """Return an address that PostgreSQL accepts, or None: a proxy may have sent anything."""
    try:
        return str(ip_address((given or "").partition("%")[0]))
    except ValueError:
        return None


def _refuse(where: str, why: str) -> NoReturn:
    abort(HTTPStatus.BAD_REQUEST, f"{where}: {why}.")
