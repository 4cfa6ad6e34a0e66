"""Verify who sent a request: the schemes by which senders sign its bytes.

A verifier checks a request and, for `flask webhooks send` and for tests, signs one. It gets the
headers, the raw body and the currently valid secrets, of which there are several during a rotation.
All comparisons take constant time.
"""

import binascii
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from werkzeug.datastructures import Headers

#: Seconds by which a signed time may be in the past or in the future.
TOLERANCE = 300


class SignatureError(Exception):
    """The request is not verified; the message is one of a few constants."""


class Verifier(Protocol):
    """A signature scheme."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str]) -> str | None:
        """Return the id that a header signs, if the scheme has one.

        Raises:
            SignatureError: None of the secrets signed these bytes recently.
        """

    def sign(self, body: bytes, secret: str, *, delivery_id: str) -> dict[str, str]:
        """Return the headers of a signed request."""

    def check_secret(self, secret: str) -> None:
        """Raise `ValueError`, without quoting the secret, if it is malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac:
    """A keyed hash of the body in a header: GitHub, and most senders without a standard.

    Attributes:
        header: The header with the signature.
        algorithm: The hash, by its name in `hashlib`.
        prefix: The text before the signature, such as `sha256=`.
        encoding: How the hash is written.
        timestamp_header: The header with the time of signing in Unix seconds, if there is one.
        content: The signed text, with `{timestamp}` and `{body}` as placeholders.
    """

    header: str
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    timestamp_header: str | None = None
    content: str = "{body}"

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str]) -> str | None:
        given = headers.get(self.header, "")
        if not given:
            raise SignatureError("missing")
        if not given.startswith(self.prefix):
            raise SignatureError("malformed")
        timestamp = headers.get(self.timestamp_header, "") if self.timestamp_header else ""
        content = self._content(body, timestamp)
        _refuse_unless_equal([given], (self._signature(content, secret) for secret in secrets))
        if self.timestamp_header:
            refuse_stale(timestamp)
        return None

    def sign(self, body: bytes, secret: str, *, delivery_id: str) -> dict[str, str]:  # noqa: ARG002 - part of other schemes' content
        timestamp = str(int(time.time())) if self.timestamp_header else ""
        signed = {self.header: self._signature(self._content(body, timestamp), secret)}
        return signed | ({self.timestamp_header: timestamp} if self.timestamp_header else {})

    def check_secret(self, secret: str) -> None:
        """Accept any text."""

    def _content(self, body: bytes, timestamp: str) -> bytes:
        before, _, after = self.content.partition("{body}")
        parts = (part.replace("{timestamp}", timestamp).encode() for part in (before, after))
        return body.join(parts)

    def _signature(self, content: bytes, secret: str) -> str:
        digest = hmac.digest(secret.encode(), content, self.algorithm)
        written = digest.hex() if self.encoding == "hex" else b64encode(digest).decode()
        return self.prefix + written


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard Webhooks v1, with symmetric keys, under its own header names or Svix's.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str]) -> str | None:
        kind = "svix" if "svix-signature" in headers else "webhook"
        message_id, timestamp, signatures = (
            headers.get(f"{kind}-{name}", "") for name in ("id", "timestamp", "signature")
        )
        if not (message_id and timestamp and signatures):
            raise SignatureError("missing")
        content = b"%s.%s.%s" % (_latin(message_id), _latin(timestamp), body)
        # `v1a,…` is a signature with a public key: another scheme, so another header's value.
        given = [one for one in signatures.split(" ") if one.startswith("v1,")]
        _refuse_unless_equal(given, (self._signature(content, secret) for secret in secrets))
        refuse_stale(timestamp)
        return message_id

    def sign(self, body: bytes, secret: str, *, delivery_id: str) -> dict[str, str]:
        timestamp = str(int(time.time()))
        content = b"%s.%s.%s" % (delivery_id.encode(), timestamp.encode(), body)
        signature = self._signature(content, secret)
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
        }

    def check_secret(self, secret: str) -> None:
        """Accept base64, with or without the prefix `whsec_`."""
        self._key(secret)

    def _signature(self, content: bytes, secret: str) -> str:
        return "v1," + b64encode(hmac.digest(self._key(secret), content, "sha256")).decode()

    @staticmethod
    def _key(secret: str) -> bytes:
        try:
            return b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("is not base64, with or without the prefix whsec_") from None


@dataclass(frozen=True, slots=True)
class Unverified:
    """Anyone may send: for trying things out in development; not allowed elsewhere."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str]) -> None:
        """Accept everything."""

    def sign(self, body: bytes, secret: str, *, delivery_id: str) -> dict[str, str]:  # noqa: ARG002 - the protocol's
        return {}

    def check_secret(self, secret: str) -> None:
        """Accept any text."""


def refuse_stale(timestamp: str) -> None:
    """Raise `SignatureError` if a signed time is too old, or too far in the future."""
    # Eleven digits reach the year 5138; int() is slow on very long texts.
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 11):  # noqa: PLR2004
        raise SignatureError("malformed")
    age = time.time() - int(timestamp)
    if age > TOLERANCE:
        raise SignatureError("expired")
    if age < -TOLERANCE:
        raise SignatureError("from the future")


def _refuse_unless_equal(given: Sequence[str], expected: Iterable[str]) -> None:
    pairs: Iterator[tuple[str, str]] = ((one, other) for other in expected for one in given)
    # A list, so that the time does not reveal which pair was equal.
    if not any([hmac.compare_digest(_latin(one), _latin(other)) for one, other in pairs]):  # noqa: C419
        raise SignatureError("wrong")


def _latin(text: str) -> bytes:
    """Return a header's bytes: comparing text that is not ASCII would raise."""
    return text.encode("latin-1", "replace")
