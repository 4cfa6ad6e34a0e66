"""Requests of `flask jobs doctor` that check whether unsigned requests are rejected.

They are neither an attack nor a mistake, so they are not logged as one, nor counted.
"""

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

HEADER = "Jobs-Doctor"
#: Seconds for which such a request is valid.
MAX_AGE = 60


def mark() -> dict[str, str]:
    """Return a header that only a holder of this app's secrets can create."""
    return {HEADER: _serializer().dumps("unsigned")}


def is_own_test() -> bool:
    """Tell whether the current request is such a check."""
    try:
        _serializer().loads(request.headers.get(HEADER, ""), max_age=MAX_AGE)
    except BadSignature:
        return False
    return True


def _serializer() -> URLSafeTimedSerializer:
    config = current_app.config  # an app without sessions need not have a SECRET_KEY
    secret = config["SECRET_KEY"] or config["QSTASH_CURRENT_SIGNING_KEY"]
    return URLSafeTimedSerializer(secret, salt="jobs.doctor")
