"""A trigger that refuses every change of a job's status that the table of transitions has not."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.db import db
from app.jobs.table.models import TRANSITIONS, Status

#: What the table allows; a status may always stay as it is. Only people and workers elsewhere
#: complete what was not being processed.
LEGAL = [
    (before, after)
    for before, allowed in TRANSITIONS.items()
    for after in allowed
    if after != Status.COMPLETED or before == Status.PROCESSING
]
_WATCH = f"""
    CREATE FUNCTION watch_status() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
            {", ".join(f"('{before}', '{after}')" for before, after in LEGAL)})
    THEN RAISE USING MESSAGE = 'illegal: ' || OLD.status || ' to ' || NEW.status; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER watch_status BEFORE UPDATE ON job_executions
        FOR EACH ROW EXECUTE FUNCTION watch_status();
"""
_UNWATCH = "DROP TRIGGER watch_status ON job_executions; DROP FUNCTION watch_status()"


@contextmanager
def watched() -> Iterator[None]:
    """Have every other change of a status fail, until the block ends."""
    _execute(_WATCH)
    try:
        yield
    finally:
        _execute(_UNWATCH)


def _execute(statements: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(statements)
