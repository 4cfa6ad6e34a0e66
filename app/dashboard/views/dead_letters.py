"""The messages that QStash gave up, to be delivered again or forgotten."""

from collections.abc import Callable

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue

from ...jobs import PublishRefused, PublishUnavailable
from ...jobs.operate import dlq
from .. import access, cookies, filters, formatting
from ..access import Role
from ..rendering import link, page
from ..screens import Screen

screen = Screen("dead_letters", "Dead letters", of_whole_app=True)

#: How many are shown.
LIMIT = 200


@screen.page("/dead-letters")
def index() -> ResponseReturnValue:
    try:
        letters = dlq.letters(limit=LIMIT + 1)
    except (PublishRefused, PublishUnavailable) as error:
        return page("dead_letters.html", 503, letters=[], trouble=str(error), is_cut=False)
    is_cut = len(letters) > LIMIT
    return page("dead_letters.html", letters=letters[:LIMIT], trouble=None, is_cut=is_cut)


@screen.action("/dead-letters/redrive", needs=Role.OPERATOR)
def redrive() -> ResponseReturnValue:
    return _do(dlq.retry, "delivered again")


@screen.action("/dead-letters/delete", needs=Role.ADMIN)
def delete() -> ResponseReturnValue:
    return _do(dlq.delete, "deleted")


def _do(act: Callable[..., int], said: str) -> ResponseReturnValue:
    """Act on the letters that a form names."""
    ids = [filters.storable("dlq_id", one) for one in request.form.getlist("dlq_id")]
    if not ids:
        abort(400, "No dead letter is selected: tick some.")
    try:
        count = act(ids, by=access.user().name)
    except (PublishRefused, PublishUnavailable) as error:
        cookies.notice(f"Not all dead letters were {said}: {error}", kind="problem")
    else:
        gone = "Nothing was changed: QStash has none of these dead letters any more."
        done = f"{formatting.plural(count, 'dead letter')} {said}."
        cookies.notice(done if count else gone, kind="done" if count else "problem")
    return redirect(link("dead_letters"))
