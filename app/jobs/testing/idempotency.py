"""Is a job idempotent? It is run as often as the worst day would have it, and must show it once."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Unpack
from unittest.mock import patch

from flask import current_app
from sqlalchemy import text
from werkzeug.test import TestResponse

from ..enqueue import enqueuer
from ..enqueue.terms import Owner, Terms
from ..outcome import Outcome
from ..registry import get_job_config
from ..table import job_rows
from ..table.attempts import Attempt, Execute, alone
from ..table.db import connection_of, db, in_transaction
from ..table.models import Status
from ..values.options import Options
from . import calls, contents, rows, wire
from .contents import Contents

Record = Callable[[Outcome, Execute, Attempt], Any]

#: Seconds that one of two simultaneous deliveries waits for the other's answer.
PATIENCE = 30

_LET_LEASE_RUN_OUT = text(
    "UPDATE job_executions SET lease_expires_at = now() - interval '1 second'"
    " WHERE job_id = :job_id AND status = 'processing'"
)

OTHER_ROWS = (
    "Rows that a handler writes through db.session, without committing, are undone by a crash. "
    "These it wrote otherwise: leave out its own commit, give `enqueue` session=db.session, or "
    "look for what an earlier attempt left (by job.id). If a column is meant to differ from run to "
    "run, leave it out: ignore=('table.column',)."
)
OTHER_CALLS = (
    "Give the receiver job.idempotency_key as the request's Idempotency-Key; if it knows none, "
    "record in the database what was sent and look there first."
)


def assert_idempotent(
    job_type: str, payload: Any, /, *, ignore: Collection[str] = (), **options: Unpack[Options]
) -> None:
    """Assert that a job's effects are those of one run, however often it is delivered.

    It is run with a crash after the handler's end and before its recorded completion; then, when
    its lease has run out, delivered twice at once; then once more. A job that raises `Continue` is
    tried so leg by leg. Compared with what the first run was about to leave are all rows of all
    tables but those of the extension, the jobs enqueued and the HTTP requests (see `calls` for
    which are seen). Left out are times, and keys made by the database, where they are new.

    The handler's work stays in the database. Nothing else may write to it meanwhile.

    Args:
        job_type: A registered name.
        payload: As for `enqueue`; the job must succeed with it.
        ignore: Columns that may differ, as "table.column".
        **options: As for `enqueue`.

    Raises:
        UnknownJobType, InvalidPayload, InvalidOption: As `enqueue` does.
        AssertionError: It is not, or does not succeed; the message says what differs, and the fix.
    """
    trial = _Trial(_record(job_type, payload, options), ignore)
    with (
        calls.recorded(but=current_app.config["QSTASH_URL"]) as trial.requests,
        patch.object(Outcome, "record", trial.recording(Outcome.record)),
    ):
        while _crash_then_retry_twice_at_once(trial):
            pass  # another leg
        _deliver_once_more(trial)
    db.session.expire_all()


class _Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class _Trial:
    """One job, and what is seen of it.

    Attributes:
        ends: The contents as a handler leaves them, read in its transaction each time one of this
            leg ends.
    """

    job_id: str
    ignore: Collection[str]
    crashing: bool = False
    ends: list[Contents] = field(default_factory=list)
    requests: list[calls.Call] = field(default_factory=list)
    answered: Event = field(default_factory=Event)

    def recording(self, record: Record) -> Record:
        """Stand between a handler's end and the record of its completion, or of its leg's."""

        def recorded(outcome: Outcome, execute: Execute, attempt: Attempt) -> Any:
            if attempt.job_id == self.job_id and outcome.keeps_work:
                self.ends.append(contents.read(connection_of(db.session), self.job_id))
                if self.crashing:
                    raise _Crash
                self.answered.wait(PATIENCE)
            return record(outcome, execute, attempt)

        return recorded

    def begin_leg(self) -> None:
        self.ends.clear()
        self.requests.clear()
        self.answered.clear()

    def contents(self) -> Contents:
        return in_transaction(lambda tx: contents.read(tx, self.job_id))


def _record(job_type: str, payload: Any, options: Options) -> str:
    """Record a job as `enqueue` does, without publishing it."""
    config = get_job_config(job_type)
    owner = Owner()
    terms = Terms.given(config, owner, options, False)
    message = enqueuer.write(terms, payload)
    return job_rows.record(alone, message, owner.columns).job_id


def _crash_then_retry_twice_at_once(trial: _Trial) -> bool:
    """Try one leg, and tell whether another follows."""
    before, layout = trial.contents(), in_transaction(contents.layout)
    trial.begin_leg()
    legs = rows.job(trial.job_id).legs
    _crash(trial)
    first, made = trial.ends[0], list(trial.requests)
    answers = _deliver_twice_at_once(trial)
    row = rows.job(trial.job_id)
    if row.status != Status.COMPLETED and row.legs == legs:
        raise AssertionError(f"the retry after a crash did not succeed: {rows.describe(row)}")
    expected, found = (
        contents.comparable(seen, before, layout, trial.ignore) for seen in (first, trial.ends[1])
    )
    when = f"{row.job_type} is not idempotent: after a crash and a retry"
    _refuse(f"{when} the database differs", contents.differences(expected, found), OTHER_ROWS)
    again = calls.repeated(made, trial.requests[len(made) :])
    _refuse(f"{when} there are other requests", again, OTHER_CALLS)
    if len(trial.ends) != 2:  # noqa: PLR2004 - the crash and the retry
        statuses = [answer.status_code for answer in answers]
        raise AssertionError(f"{when} two deliveries at once were both executed: {statuses}")
    return row.status != Status.COMPLETED


def _crash(trial: _Trial) -> None:
    trial.crashing = True
    try:
        answer = wire.post(wire.this_app(), wire.delivery(rows.job(trial.job_id)))
    except _Crash:
        in_transaction(lambda tx: tx.execute(_LET_LEASE_RUN_OUT, {"job_id": trial.job_id}))
    else:
        row = rows.job(trial.job_id)
        raise AssertionError(
            f"it must succeed before it can be tried: answered {answer.status_code}, "
            f"{rows.describe(row)}"
        )
    finally:
        trial.crashing = False


def _deliver_twice_at_once(trial: _Trial) -> list[TestResponse]:
    """Deliver from two threads: the one that executes waits at its end for the other's answer."""
    app, request = wire.this_app(), wire.delivery(rows.job(trial.job_id))

    def run(_: int) -> TestResponse:
        try:
            return wire.post(app, request)
        finally:
            trial.answered.set()

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(run, range(2)))


def _deliver_once_more(trial: _Trial) -> None:
    row, made = rows.job(trial.job_id), len(trial.requests)
    wire.post(wire.this_app(), wire.delivery(row))
    expected, found = (
        contents.comparable(seen, seen, contents.Layout(), ())
        for seen in (trial.ends[-1], trial.contents())
    )
    when = f"{row.job_type} is not idempotent: after further deliveries"
    _refuse(f"{when} the database differs", contents.differences(expected, found), OTHER_ROWS)
    again = [f"{call}, once more" for call in trial.requests[made:]]
    _refuse(f"{when} there are other requests", again, OTHER_CALLS)


def _refuse(what: str, differences: list[str], fix: str) -> None:
    if differences:
        lines = "".join(f"\n  {difference}" for difference in differences)
        raise AssertionError(f"{what}:{lines}\n{fix}")
