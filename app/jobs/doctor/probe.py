"""A message to ourselves: out through QStash, in through BASE_URL, and seen in the database.

`flask jobs doctor` publishes it and listens to the database; the app that gets it, and finds the
signature good, notifies. Nothing of it is stored but a count.
"""

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, text

from ..errors import DatabaseUnavailable
from ..execute.delivery import signed
from ..outcome import Busy
from ..recover.routes import bp
from ..table import marks
from ..table.db import in_transaction
from ..values import jsonb

PROBE = "/api/jobs/probe"
#: PostgreSQL's notification channel.
CHANNEL = "jobs_probe"
MAX_NONCE = 64
#: Follows the nonce if a proxy forwarded the probe and the app trusts none.
FORWARDED = " forwarded"

_NOTIFY = text("SELECT pg_notify(:channel, :nonce)")


@bp.post(PROBE)
@signed
def answer_probe() -> ResponseReturnValue:
    """Notify listeners that this probe has arrived."""
    nonce = jsonb.clean_text(request.get_data(as_text=True)[:MAX_NONCE])
    said = nonce + (FORWARDED if _comes_by_an_unknown_proxy() else "")

    def notify(tx: Connection) -> None:
        tx.execute(_NOTIFY, {"channel": CHANNEL, "nonce": said})
        marks.count(tx, marks.PROBE)

    try:
        in_transaction(notify)
    except DatabaseUnavailable:
        return Busy("the database is unavailable").response()
    return {"success": True}


def _comes_by_an_unknown_proxy() -> bool:
    # What werkzeug's ProxyFix leaves behind.
    is_known = "werkzeug.proxy_fix.orig" in request.environ
    return not is_known and "X-Forwarded-For" in request.headers
