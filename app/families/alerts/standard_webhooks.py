"""Signatures by which the receiver knows us: https://www.standardwebhooks.com, scheme v1."""

from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import digest

PREFIX = "whsec_"


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook.

    Args:
        secret: `whsec_` and the key in base64.
        message_id: The same over all attempts: the receiver's idempotency key.
        timestamp: Of this attempt, in seconds since 1970.
        body: To the byte as it is sent.
    """
    key = b64decode(secret.removeprefix(PREFIX))
    mac = digest(key, f"{message_id}.{timestamp}.".encode() + body, sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{b64encode(mac).decode()}",
    }
