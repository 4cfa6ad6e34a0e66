"""Requests by which `flask jobs doctor` tries whether others are sent away.

They are no attack and no mistake, so they are neither logged as one nor counted.
"""

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

HEADER = "Jobs-Doctor"
#: Seconds for which such a request counts as one.
MAX_AGE = 60


def mark() -> dict[str, str]:
    """Return the header that only who has this app's SECRET_KEY can make."""
    return {HEADER: _serializer().dumps("unsigned")}


def is_own_test() -> bool:
    """Tell whether the current request is one."""
    try:
        _serializer().loads(request.headers.get(HEADER, ""), max_age=MAX_AGE)
    except BadSignature:
        return False
    return True


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="jobs.doctor")
