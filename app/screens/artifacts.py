"""The files that jobs made: what, for whom, until when."""

from datetime import UTC, datetime
from pathlib import Path

from flask import abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Tuple, literal, select, tuple_

from app import artifacts
from app.artifacts import Artifact
from app.dashboard.kit import Screen, job_states, page, user
from app.db import db
from app.jobs.kit import is_uuid
from app.screens.panels import LINKED

screen = Screen("artifacts", "Artifacts")

TEMPLATE = Path(__file__).parent / "templates" / "artifacts.html"
LIMIT = 50

_KEY = (Artifact.expires_at, Artifact.id)


@screen.page("/artifacts")
def index() -> ResponseReturnValue:
    """Show those that are kept longest first, which most often are the newest."""
    query = select(Artifact).order_by(Artifact.expires_at.desc(), Artifact.id.desc())
    own = user().organization_id
    if own is not None:
        query = query.where(Artifact.organization_id == own)
    if after := request.args.get("after"):
        query = query.where(tuple_(*_KEY) < _position(after))
    rows = list(db.session.scalars(query.limit(LIMIT + 1)))
    last = rows[LIMIT - 1] if len(rows) > LIMIT else None
    now = datetime.now(UTC)
    return page(
        TEMPLATE,
        rows=rows[:LIMIT],
        now=now,
        states=job_states([row.job_id for row in rows[:LIMIT]]),
        links={
            row.id: artifacts.link(row, expires_in=LINKED)
            for row in rows[:LIMIT]
            if row.expires_at > now
        },
        after=last and f"{last.expires_at.isoformat()} {last.id}",
        newest=not after,
    )


def _position(after: str) -> Tuple:
    moment, _, artifact_id = after.partition(" ")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not is_uuid(artifact_id):
        abort(400, "after: no page ended there; begin with the first one.")
    return tuple_(literal(at, Artifact.expires_at.type), literal(artifact_id, Artifact.id.type))
