"""Who may deliver: only QStash, whose token covers this URL and these bytes.

The token is a JWT in `Upstash-Signature` (https://upstash.com/docs/qstash/howto/signature), signed
with the current key; for the time of a rotation the next key counts as well.
The SDK's own Receiver is not used: it ignores its clock tolerance, raises KeyError for a token
without a body hash, and cannot take a body that is not text.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import jwt
from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from ..errors import InvalidSignature
from ..events import SignatureFailed, tell
from ..table.memory import Token
from . import responses
from .own_test import is_own_test

HEADER = "Upstash-Signature"
CLAIMS = ["iss", "sub", "exp", "nbf", "body"]


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
            return responses.refuse(str(error))
        except InvalidSignature as error:
            if not is_own_test():
                tell(SignatureFailed("qstash"))
                current_app.logger.warning(
                    "[jobs] Invalid QStash signature", extra={"path": request.path}
                )
            return {"error": str(error)}, 401
        return view(*args, **kwargs)

    wrapper.is_signed = True  # type: ignore[attr-defined]  # read by the test of the architecture
    return wrapper


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
    if not token:
        raise InvalidSignature
    for key in keys:
        try:
            claims = _claims(token, key, url, leeway)
        except jwt.PyJWTError:
            continue
        if _is_hash_of(claims["body"], body()):
            return Token(
                digest=_digest(token),
                issued_at=_seconds(claims.get("iat")),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=leeway),
            )
    raise InvalidSignature


def _digest(token: str) -> str:
    """Return what tells this token from any other, however its last letters are written."""
    encoded = token.rpartition(".")[2]
    return sha256(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))).hexdigest()


def _seconds(claim: Any) -> float | None:
    return float(claim) if isinstance(claim, int | float) else None


def _claims(token: str, key: str, url: str, leeway: float) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        issuer="Upstash",
        subject=url,
        leeway=leeway,
        options={"require": CLAIMS},
    )


def _is_hash_of(claim: Any, body: bytes) -> bool:
    digest = urlsafe_b64encode(sha256(body).digest()).rstrip(b"=")
    return isinstance(claim, str) and compare_digest(claim.rstrip("=").encode(), digest)


def _published_url(base_url: str) -> str:
    """Return what QStash was told to call: from the settings, as the Host header can be forged."""
    query = request.query_string.decode("latin-1")
    return f"{base_url}{request.path}" + (f"?{query}" if query else "")
