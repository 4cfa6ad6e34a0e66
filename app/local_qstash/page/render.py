"""Renders templates as responses, with the headers that isolate a page from other sites."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from . import formatting

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Not no-referrer: that would make browsers send `Origin: null` with the page's own forms.
    "Referrer-Policy": "same-origin",
}
_TYPES = {".css": "text/css", ".js": "text/javascript"}


class Renderer:
    """The templates, compiled once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "moment": _moment,
            "calendar": _calendar,
            "duration": formatting.duration,
            "count": formatting.count,
            "size": formatting.size,
        }
        self._environment.globals["asset"] = _asset_url

    def html(self, template: str, values: dict[str, Any], *, status: int = 200) -> web.Response:
        text = self._environment.get_template(template).render(values)
        headers = _HEADERS | {"Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def static_file(name: str) -> web.Response | None:
    """Return a style sheet or script, None if its name is unknown."""
    body = _assets().get(name)
    if body is None:
        return None
    # The address carries a hash of the content, so what is cached is never stale.
    headers = _HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(
        body=body, content_type=_TYPES[Path(name).suffix], charset="utf-8", headers=headers
    )


@lru_cache(maxsize=1)
def _assets() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (_HERE / "static").iterdir()}


def _asset_url(name: str) -> str:
    return f"/static/{name}?{hashlib.sha256(_assets()[name]).hexdigest()[:12]}"


@pass_context
def _moment(context: Context, ms: int) -> Markup:
    """Show a unix millisecond relative to now, with the full date as a tooltip."""
    return _time(ms, formatting.absolute(ms), formatting.relative(ms, context["now"]))


@pass_context
def _calendar(context: Context, ms: int) -> Markup:
    """Show a unix millisecond as a date, with its distance from now as a tooltip."""
    return _time(ms, formatting.relative(ms, context["now"]), formatting.calendar(ms))


def _time(ms: int, title: str, text: str) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        formatting.iso(ms), title, text
    )
