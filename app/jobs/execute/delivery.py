"""A delivery: signed by QStash, as nobody else may deliver, then read.

The token in `Upstash-Signature` is a JWT that covers this URL and these bytes
(https://upstash.com/docs/qstash/howto/signature), signed with the current key; for the time of a
rotation the next key counts as well. The SDK's own Receiver is not used: it ignores its clock
tolerance, raises KeyError for a token without a body hash, and cannot take a body that is not text.
Nor is PyJWT, which reads a token letter by letter before it knows whose it is: with one algorithm,
one HMAC of the token as it came tells that, and only what QStash wrote is read at all.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from hashlib import sha256
from hmac import compare_digest, digest
from time import time
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from ..errors import DatabaseUnavailable, DeliveryError, InvalidDelivery, InvalidSignature
from ..events import SignatureFailed, emit
from ..outcome import Refused
from ..payload import loading
from ..publish.qstash import RETRIES_HEADER
from ..registry import JobConfig
from ..schemas import Envelope, load_envelope
from ..table import memory
from ..table.db import in_transaction
from ..table.deliveries import Delivery
from ..table.memory import Token
from ..values import jsonb
from .own_test import is_own_test

HEADER = "Upstash-Signature"
ISSUER = "Upstash"
ALGORITHM = "HS256"

QSTASH_ID = re.compile(r"[\x21-\x7e]{1,255}")
#: No plan of QStash's retries more often.
MAX_RETRIED = 1_000
MAX_DIGITS = 9

#: What reading claims raises that are of the wrong kind, too large or too deep.
_NO_CLAIMS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)

_COUNT = re.compile(r"[0-9]{1,9}")


class BodyTooLarge(Exception):
    """A body has more bytes than may be."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"too large: a body may have {largest:,} bytes")


def signed(
    view: Callable[..., ResponseReturnValue], *, room: int = 1
) -> Callable[..., ResponseReturnValue]:
    """Answer 401 unless QStash signed this request; apply it below the route decorator.

    Nothing is read, written or logged from the body of a request that fails. A body of more bytes
    than JOBS_MAX_BODY is not taken, and QStash told not to come again with it.

    Args:
        view: What answers.
        room: How many times JOBS_MAX_BODY its bodies may have.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        try:
            verify_request(room=room)
        except BodyTooLarge as error:
            current_app.logger.warning("[jobs] Delivery too large", extra={"path": request.path})
            return Refused(str(error)).response()
        except InvalidSignature as error:
            if not is_own_test():
                emit(SignatureFailed("qstash"))
                current_app.logger.warning(
                    "[jobs] Invalid QStash signature", extra={"path": request.path}
                )
            return {"error": str(error)}, 401
        return view(*args, **kwargs)

    wrapper.is_signed = True  # type: ignore[attr-defined]  # read by the test of the architecture
    return wrapper


def is_qstash_endpoint() -> bool:
    """Tell whether the current request is for a view that only QStash may call.

    For a `before_request` that demands a login: these have a signature instead.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "is_signed", False)


def verify_request(*, room: int = 1) -> None:
    """Check the current request, and keep what is known of its token in `g.jobs_token`.

    Args:
        room: How many times JOBS_MAX_BODY the body may have.

    Raises:
        InvalidSignature: QStash did not sign it.
    """
    config = current_app.config
    g.jobs_token = verify(
        request.headers.get(HEADER),
        lambda: _body(config["JOBS_MAX_BODY"] * room),
        url=_published_url(config["BASE_URL"]),
        keys=(config["QSTASH_CURRENT_SIGNING_KEY"], config["QSTASH_NEXT_SIGNING_KEY"]),
        leeway=config["JOBS_SIGNATURE_LEEWAY"],
    )


def _body(largest: int) -> bytes:
    # One more than may be: where no length is given (chunked), werkzeug cuts a body off in silence.
    request.max_content_length = largest + 1
    try:
        found = request.get_data()
    except RequestEntityTooLarge:
        raise BodyTooLarge(largest) from None
    if len(found) > largest:
        raise BodyTooLarge(largest)
    return found


def verify(
    token: str | None, body: Callable[[], bytes], *, url: str, keys: tuple[str, str], leeway: float
) -> Token:
    """Check a QStash token and return what is known of it.

    Args:
        token: The value of `Upstash-Signature`.
        body: Reads the raw body; called only once the token itself is good.
        url: The destination as it was published, to the byte.
        keys: The current and the next signing key.
        leeway: Seconds by which the clocks may differ.

    Raises:
        InvalidSignature: In every case but a good one, without a reason that could help to forge.
    """
    signed, _, signature = (token or "").encode().rpartition(b".")
    for key in filter(None, keys):
        made = digest(key.encode(), signed, "sha256")
        if compare_digest(_encoded(made), signature.removesuffix(b"=")):
            claims = _claims(signed, url, leeway)
            if not compare_digest(_encoded(sha256(body()).digest()), claims["body"]):
                break
            return Token(
                digest=sha256(made).hexdigest(),
                issued_at=claims["iat"],
                expires_at=claims["until"],
            )
    raise InvalidSignature


def _claims(signed: bytes, url: str, leeway: float) -> dict[str, Any]:
    """Return the claims that count, if they are all there and say here and now.

    Raises:
        InvalidSignature: They do not.
    """
    try:
        header, said = (json.loads(_decoded(part)) for part in signed.split(b"."))
        until = _seconds(said["exp"]) + leeway
        claims = {
            "until": datetime.fromtimestamp(until, UTC),
            "iat": _seconds(said["iat"]) if "iat" in said else None,
            "body": said["body"].rstrip("=").encode(),
        }
        now = time()
        is_now = _seconds(said["nbf"]) - leeway <= now < until
        is_old = claims["iat"] is None or claims["iat"] - leeway <= now
        is_ours = (header["alg"], said["iss"], said["sub"]) == (ALGORITHM, ISSUER, url)
        # What must be understood, and is not (RFC 7515, 4.1.11).
        is_known = "crit" not in header
    except _NO_CLAIMS:
        raise InvalidSignature from None
    if not (is_now and is_old and is_ours and is_known):
        raise InvalidSignature
    return claims


def _seconds(claim: Any) -> float:
    int(claim)  # neither a text such as "1.5" nor a number without end
    return float(claim)


def _encoded(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")


def _decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _published_url(base_url: str) -> str:
    """Return what QStash was told to call: from the settings, as the Host header can be forged."""
    query = request.query_string.decode("latin-1")
    return f"{base_url}{request.path}" + (f"?{query}" if query else "")


def parse(config: JobConfig) -> Delivery:
    """Read the current request.

    Raises:
        InvalidDelivery: It can never be executed: it is not JSON, no envelope, not of this type,
            or its payload cannot be opened or does not fit the schema.
        NewerPayload: Only newer code understands it.
    """
    raw = _json(request.get_data())
    envelope = load_envelope(raw)
    job_id = _job_id(envelope)
    if envelope.type != config.type:
        message = f"this endpoint takes jobs of type {config.type!r}, not {envelope.type!r}"
        raise InvalidDelivery(message, job_id=job_id)
    payload, broken = _payload(config, envelope, job_id)
    tags = envelope.metadata.tags
    schedule_id, of = _id("Upstash-Schedule-Id"), envelope.metadata.schedule
    return Delivery(
        job_id=job_id,
        payload=payload,
        broken=broken,
        envelope=raw,
        user_id=envelope.metadata.user_id,
        organization_id=envelope.metadata.organization_id,
        message_id=_id("Upstash-Message-Id"),
        # Where the envelope names it, that counts: it is signed.
        schedule_id=of.id if of and schedule_id else schedule_id,
        retried=retried(),
        max_retries=_count(RETRIES_HEADER),
        token=g.jobs_token,
        is_firing=envelope.is_firing,
        tags=config.tags if tags is None else tags,
        cron=envelope.metadata.cron,
        rules=of.rules if of else None,
        edition=envelope.metadata.edition,
    )


def _payload(
    config: JobConfig, envelope: Envelope, job_id: str
) -> tuple[Any, BaseException | None]:
    """Load the payload; a bug in a validator is kept, to fail the attempt as a handler's would."""
    try:
        return loading.load_payload(config, envelope, job_id), None
    except (DeliveryError, DatabaseUnavailable):
        raise
    except BaseException as error:  # noqa: BLE001 - a validator may raise anything
        return None, error


def retried() -> int:
    """Return how often QStash tried to deliver the current request before."""
    header = request.headers.get("Upstash-Retried", "")
    if not (header.isascii() and header.isdigit()):
        return 0
    return min(int(header[:MAX_DIGITS]), MAX_RETRIED)


def as_firing(delivery: Delivery) -> Delivery | None:
    """Return it as a schedule's firing, where QStash's headers say so and the envelope does not.

    Another producer's schedule may carry one job id in all its firings, and nothing else that is
    signed. The headers are not, so the caller must know that no job has that id.
    """
    if delivery.is_firing or delivery.schedule_id is None or delivery.message_id is None:
        return None
    return replace(delivery, job_id=firing_id(delivery.message_id), is_firing=True)


def firing_id(message_id: str) -> str:
    """Return the job id of one firing of a schedule, whose envelope has none."""
    return str(uuid5(NAMESPACE_URL, f"qstash:{message_id}"))


def _count(header: str) -> int | None:
    value = request.headers.get(header, "")
    return int(value) if _COUNT.fullmatch(value) else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        raw = jsonb.loads(body.decode())
        jsonb.dumps(raw)
    except ValueError as error:
        raise InvalidDelivery(f"the body is not JSON in UTF-8: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidDelivery("the body is not a JSON object")
    return raw


def _job_id(envelope: Envelope) -> str:
    """Return the job's id; each firing of a schedule has its own, the same over its retries.

    Whether it is a firing, the envelope says, which is signed: no header makes a job another.
    """
    message_id = _id("Upstash-Message-Id")
    if envelope.is_firing and _id("Upstash-Schedule-Id") and message_id:
        return firing_id(message_id)
    if envelope.job_id is None:
        raise InvalidDelivery(
            "the envelope is broken", {"jobId": ["Missing data for required field."]}
        )
    return envelope.job_id


def _id(header: str) -> str | None:
    """Return one of QStash's ids; anything malformed counts as none."""
    value = request.headers.get(header, "")
    return value if QSTASH_ID.fullmatch(value) else None


def spend(delivery: Delivery) -> None:
    """Tie the delivery's token to this job, so that it can bring no other."""
    if not in_transaction(lambda tx: memory.spend(tx, delivery.token, delivery.job_id)):
        raise InvalidDelivery("the token of this delivery has brought another job before")
