"""What the rows of unique jobs mean, as SQL: which keep others out, and which wait for another.

A unique index has every job that keeps its key, once for each key, so that no two jobs have it.
Where one more may wait for the end of the one that runs, the two have a place each. A job leaves
the index by what its row says, however it came to that: so whatever ends a job also frees its key.
"""

from sqlalchemy.exc import IntegrityError

from ..values.unique import ONCE_MORE

INDEX = "uq_job_executions_unique_key"
#: What the column `pause` says of a job that waits for another's end, before that one's id.
FOLLOWS = "follows:"


def holds(job: str = "") -> str:
    """Tell whether a row keeps its key: exactly the condition of the index, so that it is used.

    One that has begun goes on doing so while it waits for a retry. With "pending", it keeps the key
    only until it begins for the first time.

    Args:
        job: What the statement calls the row, with a dot after it.
    """
    return (
        f"{job}unique_key IS NOT NULL"
        f" AND ({job}status = 'pending' AND {job}started_at IS NULL"
        f" OR {job}unique_while <> 'pending'"
        f" AND ({job}status IN ('pending', 'processing')"
        f" OR {job}status = 'failed' AND {job}dead_at IS NULL)"
        f" OR {job}unique_while = 'completed' AND {job}status = 'completed')"
    )


def runs(job: str = "") -> str:
    """Tell whether a row has the place of the one that runs, and others wait for its end."""
    return f"{job}unique_while = '{ONCE_MORE}' AND {job}started_at IS NOT NULL"


def waits(job: str = "") -> str:
    """Tell whether a row has not begun: what it is to do may still be replaced."""
    return f"{job}status = 'pending' AND {job}started_at IS NULL"


def running_one(key: str, but: str = "NULL") -> str:
    """Return what the column `pause` says of a job that waits for the one of its key that runs.

    The function (revision 0012) asks what `runs` and `holds` do; it has to change with them.

    Args:
        key: The job's, as SQL.
        but: The `id` of a row that is not meant.
    """
    return f"'{FOLLOWS}' || job_unique_running({key}, {but})"


def followed(job: str) -> str:
    """Do the same of a row of the table; null for all but those of which one more may wait."""
    running = running_one(f"{job}.unique_key", f"{job}.id")
    return f"CASE WHEN {job}.unique_while = '{ONCE_MORE}' THEN {running} END"


#: Of a job that need not wait for another any more: for people, which one that was.
NOTES_FOLLOWED = (
    f"uniqueness = CASE WHEN starts_with(pause, '{FOLLOWS}') THEN uniqueness"
    f" || jsonb_build_object('followed', substr(pause, {len(FOLLOWS) + 1})) ELSE uniqueness END"
)

#: Whether the row `job_executions` has another payload by now than the message that is delivered.
IS_OUTDATED = (
    "(uniqueness IS NOT NULL AND uniqueness->>'edition' IS DISTINCT FROM CAST(:edition AS text))"
)


def is_taken(error: IntegrityError) -> bool:
    """Tell whether a statement failed because another job has the key."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) == INDEX
