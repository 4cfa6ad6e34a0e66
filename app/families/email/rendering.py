"""From a template's name and data to a subject, an HTML page and its plain-text twin."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional

from flask import current_app
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.families.email.template import get_template

if TYPE_CHECKING:
    from css_inline import CSSInliner

_RIGHT_TO_LEFT = {"R", "AL"}

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

# The dashboard's default address.
_pages.globals["base_url"] = lambda: current_app.config["BASE_URL"]

# Nobody reads replies to an address that only sends.
_pages.globals["can_answer"] = lambda: bool(current_app.config["SUPPORT_EMAIL"])


@cache
def _inliner() -> "CSSInliner":
    """Return what moves a page's styles into its elements.

    Media queries cannot be inlined; they are in a separate <style> that css-inline keeps. (Its
    `keep_at_rules` would put them before the <meta> that names the encoding, and push that out of
    the first 1024 bytes, where browsers look for it.)
    """
    from css_inline import CSSInliner  # noqa: PLC0415 - large, and only emails need it

    return CSSInliner(load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An email ready to be sent to an address."""

    template: str
    subject: str
    html: str
    text: str


def _isolated(value: Any) -> Any:
    """Isolate right-to-left text, so that it does not reorder the text around it."""
    if isinstance(value, str) and any(bidirectional(char) in _RIGHT_TO_LEFT for char in value):
        return f"\u2068{value}\u2069"
    return value


def render(template: str, data: Mapping[str, Any], *, subject: str | None = None) -> Rendered:
    """Render an email.

    The same arguments always give the same email, so a retry repeats what was sent: Resend rejects
    a different email under the same idempotency key.

    Args:
        template: Its name in the catalog.
        data: As the template's schema loads it.
        subject: Replaces the template's own.
    """
    given = {**data, "app_name": current_app.config["APP_NAME"]}
    values = {name: _isolated(value) for name, value in given.items()}
    values["subject"] = subject or get_template(template).subject_for(values)
    return Rendered(
        template=template,
        subject=values["subject"],
        html=_inliner().inline(_pages.get_template(f"{template}.html").render(values)),
        text=_pages.get_template(f"{template}.txt").render(values),
    )
