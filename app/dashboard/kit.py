"""What an app's own screens and panels are made of; see docs/dashboard.md."""

from flask import Response, make_response
from flask.typing import ResponseReturnValue

from .access import user
from .cookies import notice
from .filters import storable
from .formatting import absolute
from .panels import Content, Link
from .policy import POLICY
from .rendering import fragment, link, page
from .screens import Screen
from .states import job_states

__all__ = [
    "Content",
    "Link",
    "Screen",
    "absolute",
    "fragment",
    "framing",
    "job_states",
    "link",
    "notice",
    "page",
    "sandboxed",
    "storable",
    "user",
]

#: Nothing is loaded, run or sent from there; only its own styles count.
_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


def framing(answer: ResponseReturnValue) -> Response:
    """Let a page have frames of this app's own, such as those of `sandboxed`."""
    response = make_response(answer)
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-src 'self'"
    return response


def sandboxed(html: str) -> Response:
    """Return HTML that somebody else wrote, for a frame with `sandbox`: it is shown, no more."""
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _SANDBOX
    return response
