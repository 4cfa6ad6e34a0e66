"""The signature of a delivery, a JWT for its URL and body in `Upstash-Signature`, and its keys."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode

from .ids import new_id

_LIFETIME = 300  # seconds
_compact = json.JSONEncoder(separators=(",", ":")).encode


def sign(key: str, *, url: str, body: bytes) -> str:
    """Return a fresh token for one attempt to deliver `body` to `url`.

    The key is used as a whole, `sig_` included; `url` is the destination as published.
    """
    now = int(time.time())
    claims = {
        "iss": "Upstash",
        "sub": url,
        "exp": now + _LIFETIME,
        "nbf": 0,
        "iat": now,
        "jti": new_id("jwt"),
        "body": urlsafe_b64encode(hashlib.sha256(body).digest()).decode(),
    }
    signed = _HEADER + b"." + _encode(_compact(claims).encode())
    return (signed + b"." + _encode(hmac.digest(key.encode(), signed, "sha256"))).decode()


def new_key() -> str:
    return f"sig_{secrets.token_urlsafe(21)}"


class SigningKeys:
    """Keys of the running server.

    A rotation lasts until the server stops: its clients are configured with fixed keys, and a
    restart that brought back a rotated key would lock all of them out.
    """

    def __init__(self, current: str, following: str) -> None:
        self.current = current
        self.next = following

    def rotate(self) -> None:
        self.current, self.next = self.next, new_key()


def _encode(part: bytes) -> bytes:
    return urlsafe_b64encode(part).rstrip(b"=")


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')
