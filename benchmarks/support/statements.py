"""The two statements of a delivery, for a script that executes them by psycopg."""

from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql

from app.jobs.table import attempt_sql

_DIALECT = postgresql.psycopg.dialect()


def written(statement: TextClause) -> str:
    """Return a statement as psycopg takes it."""
    return str(statement.compile(dialect=_DIALECT))


CLAIM = written(attempt_sql.CLAIM)
COMPLETE = written(attempt_sql.COMPLETE)
_ALL = dict.fromkeys((*attempt_sql.CLAIM.compile().params, *attempt_sql.COMPLETE.compile().params))


def given(job_id: str) -> dict[str, Any]:
    """Return what both take of a no-op job's first delivery; its token is its id, a UUID."""
    return _ALL | {
        "job_id": job_id,
        "job_type": "noop",
        "message_id": f"msg_{job_id}",
        "token": job_id,
        "delivered_by": "x",
        "issued_at": 0.0,
        "retried": 0,
        "timeout": 60.0,
        "synchronous": False,
        "attempt": '{"number": 1, "leg": 1, "outcome": "completed", "status": 200}',
    }
