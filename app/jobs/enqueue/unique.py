"""Record unique jobs: one of each key, or what its rule says where one is there already.

    INSERT ── nobody has the key ──▶ new, or a follow-up of the one that runs
       │ ▲
       │ └── it ended, began, or its period was over, just now: again
       ▼
    the job that has it ──▶ existing, replaced, or an error

The unique index decides, and not what was looked for: so of any number of calls at once, one
inserts. In a transaction that goes on, a job that was there does not begin before that has ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DatabaseUnavailable, NotUnique
from ..message import Message
from ..table import job_rows
from ..table import unique as unique_rows
from ..table.attempts import Execute, alone
from ..table.job_rows import Recorded
from ..table.unique_sql import FOLLOWS
from ..values.unique import EnqueuedAs, Key


def record(
    message: Message, key: Key, owner: Mapping[str, Any], session: Execute | None
) -> Recorded:
    """Insert a unique job, or return the one that has its key.

    Args:
        message: The job's first one.
        key: What it is unique by.
        owner: As for `job_rows.record`.
        session: Executes in a transaction that decides whether the job exists; None is one of its
            own for each statement, none of which does anything the second time.

    Raises:
        NotUnique: Another job has the key, and the rule says so.
    """
    given = unique_rows.columns(message, job_rows.shared_columns(message, owner))
    execute = session or alone
    for _ in range(unique_rows.TURNS):
        if (row := execute(unique_rows.INSERT, given)) is not None:
            return _inserted(execute, row, key)
        found = execute(unique_rows.FIND, given)
        if found is None:
            continue
        if found.job_id == message.job_id:  # its answer was lost
            return Recorded(message.job_id, found.pause, _as(found.pause))
        if (recorded := _of_other(found, given, key, session)) is not None:
            return recorded
    raise DatabaseUnavailable(
        f"jobs with the key of this {message.job_type} begin and end faster than one can be "
        "recorded: nothing was; try again"
    )


def record_all(
    messages: Sequence[Message], owner: Mapping[str, Any], session: Execute
) -> list[Recorded]:
    """Do the same for many in one transaction; return them in the same order.

    They are taken by their keys, so that two such transactions do not wait for each other.
    """
    recorded: dict[str, Recorded] = {}
    keyed = [(message, message.unique) for message in messages if message.unique is not None]
    for message, key in sorted(keyed, key=lambda one: one[1].value):
        recorded[message.job_id] = record(message, key, owner, session)
    return [recorded[message.job_id] for message in messages]


def _of_other(
    found: Any, given: dict[str, Any], key: Key, session: Execute | None
) -> Recorded | None:
    """Do as the rule says of the job that has the key; None where it has changed meanwhile.

    Raises:
        NotUnique: The rule says so.
    """
    if found.is_over:
        unique_rows.free(found, given, session)
        return None
    if key.rule.on_conflict == "raise":
        raise NotUnique(given["job_type"], found.job_id, key.rule.fields)
    if key.rule.replaces and found.waits:
        return _replace(found, given, key, session or alone)
    if session is None or not found.waits or session(unique_rows.KEEP, _at(found, given)):
        return Recorded(found.job_id, found.pause, "existing")
    return None


def _replace(found: Any, given: dict[str, Any], key: Key, execute: Execute) -> Recorded | None:
    """Have the job do this work instead of its own; None where it has begun."""
    edition = given["job_id"]
    instead = {"payload": key.rewrite(found.job_id), "job_id": found.job_id, "edition": edition}
    if (row := execute(unique_rows.REPLACE, given | instead)) is not None:
        is_put_off = row.reschedules > found.reschedules
        return Recorded(found.job_id, row.pause, "replaced", is_put_off)
    # Or it was replaced, and has begun with this, and only the answer to that was lost.
    row = execute(unique_rows.EDITION, {"job_id": found.job_id})
    if row is not None and row.edition == edition:
        return Recorded(found.job_id, None, "replaced")
    return None


def _inserted(execute: Execute, inserted: Any, key: Key) -> Recorded:
    """Look again whether one of its key runs: it may have begun while the insert waited for it."""
    if not key.rule.once_more or inserted.pause is not None:
        return Recorded(
            inserted.job_id, inserted.pause, "follow-up" if inserted.is_follow_up else "new"
        )
    row = execute(unique_rows.HOLD, {"job_id": inserted.job_id})
    pause = None if row is None else row.pause
    return Recorded(inserted.job_id, pause, _as(pause))


def _as(pause: str | None) -> EnqueuedAs:
    return "follow-up" if pause is not None and pause.startswith(FOLLOWS) else "new"


def _at(found: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"job_id": found.job_id, "unique_key": given["unique_key"]}
