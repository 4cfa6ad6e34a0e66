"""Who did what by hand, on every way: here, on the command line, through the API."""

import json
from collections.abc import Mapping
from datetime import datetime

from flask import abort, request
from flask.typing import ResponseReturnValue

from ...jobs.operate import audit
from .. import formatting
from ..rendering import page
from ..screens import Screen

screen = Screen("audit", "Audit", of_whole_app=True)

#: Entries per page, and characters that an actor's name may have.
LIMIT = 50
LONGEST = 200
#: How a moment of a filter reads.
_MOMENTS = {"recorded_from": "recorded from", "recorded_to": "recorded until"}


@screen.page("/audit")
def index() -> ResponseReturnValue:
    actor, action = (_text(request.args.get(name, "")) for name in ("actor", "action"))
    rows = audit.entries(
        before=_before(request.args.get("before", "")),
        actor=actor or None,
        action=action or None,
        limit=LIMIT + 1,
    )
    return page(
        "audit.html",
        rows=[(row, asked_for(row.filter)) for row in rows[:LIMIT]],
        actor=actor,
        action=action,
        before=rows[LIMIT - 1].id if len(rows) > LIMIT else None,
    )


def _text(given: str) -> str:
    return given.replace("\0", "").strip()[:LONGEST]


def _before(given: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > 18:  # noqa: PLR2004 - a bigint
        abort(400, "before: not an id of an entry; use the link of the page before.")
    return int(given)


def asked_for(wanted: Mapping[str, object]) -> str:
    """Return which jobs were asked for, in a line."""
    left_out = {"status"} if "dead" in wanted else set()
    said = [_part(name, value) for name, value in wanted.items() if name not in left_out]
    return ", ".join(filter(None, said))


def _part(name: str, value: object) -> str:
    if name == "job_ids" and isinstance(value, list):
        return f"{len(value):,} by id" if len(value) > 1 else ""
    if name == "changed" and value == 0:
        return "changed nothing"
    if name == "everything":
        return "all jobs"
    if name == "dead":
        return "dead" if value else "retrying"
    if name in _MOMENTS and isinstance(value, str):
        return f"{_MOMENTS[name]} {formatting.absolute(datetime.fromisoformat(value))}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{name}: {text}"
