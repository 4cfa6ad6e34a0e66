"""A message to ourselves: out through QStash, in through BASE_URL, and seen in our database.

`flask jobs doctor` publishes it and listens to the database; the app that gets it, and finds the
signature good, notifies. So nothing is stored anywhere.
"""

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from app.jobs import answers, jsonb
from app.jobs.errors import DatabaseUnavailable
from app.jobs.routes import bp
from app.jobs.signature import signed
from app.jobs.transactions import in_transaction

PROBE = "/api/jobs/probe"
#: PostgreSQL's notification channel.
CHANNEL = "jobs_probe"
MAX_NONCE = 64

_NOTIFY = text("SELECT pg_notify(:channel, :nonce)")


@bp.post(PROBE)
@signed
def answer_probe() -> ResponseReturnValue:
    """Tell whoever listens that this probe has arrived."""
    nonce = jsonb.clean_text(request.get_data(as_text=True)[:MAX_NONCE])
    try:
        in_transaction(lambda tx: tx.execute(_NOTIFY, {"channel": CHANNEL, "nonce": nonce}))
    except DatabaseUnavailable:
        return answers.busy("the database is unavailable")
    return {"success": True}
