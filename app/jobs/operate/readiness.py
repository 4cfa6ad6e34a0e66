"""Whether this process can do its work: what `GET /readyz` and `flask jobs doctor` ask."""

from dataclasses import dataclass
from threading import Lock
from time import monotonic

from flask import current_app
from sqlalchemy import text

from ..errors import JobsError, PublishError
from ..execute import shutdown
from ..migrations import HEAD, current
from ..publish import outbox
from ..table.db import in_transaction

#: Seconds for which QStash's answer is kept: probes come often, from many.
KEPT = 10.0
#: What QStash answers to a token that it does not know.
TOKEN_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is needed; `problem` is None where it is there. Names no secret."""

    name: str
    problem: str | None = None


def parts() -> list[Part]:
    """Ask for everything; what cannot be asked counts as missing."""
    return [
        Part("draining", "the process is stopping" if shutdown.draining.is_set() else None),
        Part("database", _database()),
        Part("migrations", migrations()),
        Part("qstash", _qstash()),
    ]


def migrations() -> str | None:
    """Say what is wrong with the version of the tables of jobs."""
    try:
        found = in_transaction(current)
    except JobsError:
        return "the database does not answer"
    if found == HEAD:
        return None
    return f"the database is at {found or 'nothing'}, the code at {HEAD}"


def _database() -> str | None:
    try:
        in_transaction(lambda tx: tx.execute(text("SELECT 1")))
    except JobsError:
        return "cannot be reached"
    return None


@dataclass(slots=True)
class _Answer:
    """What QStash said last, shared by the threads of a process."""

    lock: Lock
    problem: str | None = None
    good_until: float = 0.0


def _qstash() -> str | None:
    """Ask at most once in `KEPT` seconds; who comes meanwhile waits for the same answer."""
    answer = current_app.extensions.setdefault("jobs.readiness", _Answer(Lock()))
    with answer.lock:
        if monotonic() >= answer.good_until:
            answer.problem = _ask_qstash()
            answer.good_until = monotonic() + KEPT
        problem: str | None = answer.problem
    return problem


def _ask_qstash() -> str | None:
    try:
        outbox.publisher().call(lambda qstash: qstash.signing_key.get())
    except PublishError as error:
        return "refuses QSTASH_TOKEN" if error.status in TOKEN_REFUSED else "cannot be reached"
    except JobsError:
        return "cannot be reached"
    return None
