"""How a page is made of its template.

The templates have an environment of their own: whatever the app does to Flask's, everything in
these is escaped, and no template of the app's takes one's place.
"""

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import current_app, make_response, request, url_for
from flask.typing import ResponseReturnValue
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined
from markupsafe import Markup

from . import cookies, formatting, states
from .access import Role
from .visit import visit

HERE = Path(__file__).parent

#: What turns around the text after it, so that a line would read as another one.
_TURN = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: The same, and what is in a form, or is put into one, which is sent as it is.
_FORM_OR_TURN = re.compile(
    rf"""(?P<form>\b(?:value|data-line)="[^"]*"|<(?:option|textarea)\b[^>]*>[^<]*)|{_TURN.pattern}"""
)


def page(template: str | Path, status: int = HTTPStatus.OK, **values: Any) -> ResponseReturnValue:
    """Return a page.

    Args:
        template: Its file's name below `templates`, or the absolute path of an app's own, which
            extends "base.html".
        status: The answer's.
        **values: What it shows.
    """
    config = current_app.config
    user = visit().user
    common = {
        "user": user,
        "is_signed_in": visit().is_signed_in,
        "role": user and user.role.name.lower(),
        "instance": config["JOBS_DASHBOARD_NAME"],
        "colour": config["JOBS_DASHBOARD_COLOUR"],
        "screens": [
            one
            for one in current_app.extensions["jobs.dashboard.screens"]
            if user and one.is_for(user)
        ],
        "endpoint": (request.endpoint or "").partition(".")[2],
        "form_token": cookies.form_token,
        "notices": cookies.take_notices(),
        "may": may,
        "link": link,
        "asset": asset,
        "here": here(),
    }
    text = _environment().get_template(str(template)).render(common | values)
    response = make_response(_unturned(text), status)
    response.headers["Vary"] = "HX-Request"
    return response


def fragment(template: Path, **values: Any) -> Markup:
    """Return a part of a page, such as a panel, made of an app's own template; values are escaped.

    Args:
        template: The absolute path of its file.
        **values: What it shows.
    """
    common = {"link": link, "may": may, "form_token": cookies.form_token}
    return Markup(_environment().get_template(str(template)).render(common | values))  # noqa: S704 - the environment has escaped it


def problem(status: int, said: str) -> ResponseReturnValue:
    """Return a page that says what is wrong, and changes nothing."""
    title = HTTPStatus(status).phrase
    return page("problem.html", status, title=title, said=said)


def link(endpoint: str, **values: Any) -> str:
    """Return the address of a page or an action of ours; what is empty is left out."""
    given = {name: value for name, value in values.items() if value not in {None, ""}}
    return url_for(f"jobs_dashboard.{endpoint}", **given)


def here() -> str:
    """Return the address of this page, for it to load itself again."""
    path = quote(request.script_root + request.path)
    query = request.query_string.decode("latin-1")
    return f"{path}?{query}" if query else path


def asset(name: str) -> str:
    """Return the address of a static file, which changes with what is in it."""
    return url_for("jobs_dashboard.static", filename=name, v=_digest(name))


def may(role: str) -> bool:
    """Tell whether the user has a role, by its name."""
    user = visit().user
    return user is not None and user.may(Role[role.upper()])


def _unturned(text: str) -> str:
    """Return a page on which every text reads in the direction of its letters.

    The characters that would change it are shown as escapes, wherever they came from.
    """
    if not _TURN.search(text):  # as on nearly all
        return text
    return _FORM_OR_TURN.sub(lambda found: found["form"] or f"\\u{ord(found[0]):04x}", text)


@cache
def _digest(name: str) -> str:
    return sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]


def _of_the_app(name: str) -> tuple[str, str, Callable[[], bool]] | None:
    """Read a template of an app's own, by its absolute path."""
    path = Path(name)
    if not path.is_absolute() or not path.is_file():
        return None
    changed_at = path.stat().st_mtime
    return path.read_text(encoding="utf-8"), name, lambda: path.stat().st_mtime == changed_at


@cache
def _environment() -> Environment:
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), FunctionLoader(_of_the_app)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {**formatting.FILTERS, "kind": states.kind_of}
    return made
