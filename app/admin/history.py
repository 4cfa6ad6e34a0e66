"""Whether the database has this app's latest migration."""

from functools import cache
from pathlib import Path

from flask import current_app
from sqlalchemy import Connection, text

from app.jobs import JobsError
from app.jobs.kit import in_transaction


def problem() -> str | None:
    """Return what is wrong with the database's version."""
    root = Path(current_app.root_path).parent
    wanted = _heads(root / current_app.extensions["migrate"].directory)
    try:
        found = in_transaction(_version)
    except JobsError:
        return "the database does not answer"
    if found == wanted:
        return None
    at = ", ".join(sorted(found)) or "nothing"
    return f"the database is at {at}, the code at {', '.join(sorted(wanted))}"


@cache
def _heads(directory: Path) -> frozenset[str]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - comes with Flask-Migrate

    return frozenset(ScriptDirectory(str(directory)).get_heads())


def _version(tx: Connection) -> frozenset[str]:
    if tx.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return frozenset()
    return frozenset(tx.scalars(text("SELECT version_num FROM alembic_version")))
