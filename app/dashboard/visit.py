"""What is known of the current request, and of it alone."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from .access import User

_KEY = "jobs.dashboard.visit"


@dataclass(slots=True)
class Visit:
    """One request.

    Attributes:
        user: Who asks; None for a stranger.
        is_signed_in: The user has signed in here, and so can sign out.
        session: What the browser is to keep of a session from now on; "" is none, None what it has.
        secret: That of the browser's forms, made for this answer.
        said: What the next page is to say: a text, an address or None, a kind.
        is_told: This answer says what the one before left to say.
    """

    user: "User | None" = None
    is_signed_in: bool = False
    session: str | None = None
    secret: str | None = None
    said: list[tuple[str, str | None, str]] = field(default_factory=list)
    is_told: bool = False


def visit() -> Visit:
    """Return that of the current request.

    It is the request's own: `g` is that of an app's context, which tests share among requests.
    """
    found: Visit = request.environ.setdefault(_KEY, Visit())
    return found
