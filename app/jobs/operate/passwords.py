"""Passwords: how they are kept, and whether one is somebody's."""

import unicodedata
from functools import cache
from secrets import token_urlsafe

from werkzeug.security import check_password_hash, generate_password_hash

from ..errors import InvalidOption

#: Characters that a password has. A longer one would only make checking it slow.
SHORTEST, LONGEST = 12, 1000


def hashed(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        InvalidOption: It is too short, or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidOption(f"a password has {SHORTEST} to {LONGEST} characters")
    return generate_password_hash(_normal(password))


def is_right(password: str, kept: str | None) -> bool:
    """Tell whether a password is the one of which that is kept; None is nobody's.

    An unknown name takes as long to refuse as a known one.
    """
    fits = check_password_hash(kept or _nobody_s(), _normal(password[:LONGEST]))
    return fits and kept is not None


@cache
def _nobody_s() -> str:
    """Return the hash of a password that nobody knows."""
    return generate_password_hash(token_urlsafe(24))


def _normal(password: str) -> str:
    """Return a password in the one form that keyboards write it in differently."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
