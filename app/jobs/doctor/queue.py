"""The jobs themselves: late, stuck, failing, dead, or no longer understood."""

from itertools import islice

from .. import durations
from ..operate import health
from ..operate.health import Reason, Verdict
from ..operate.queue_check import check_queued
from ..table import snapshot
from ..table.db import in_transaction
from ..table.snapshot import CAP
from ..table.sweep_sql import UNPUBLISHED
from .checks import own
from .finding import Finding, failure, passed, warning

#: How many queued jobs are read at most.
READ = 10_000

#: Seconds for which a job may wait to be published: a sweep may only come every five minutes.
PATIENCE = 600

FIXES = {
    "idle": "see what `probe` finds; then `flask jobs sweep`",
    "failureRate": "flask jobs list --status failed",
    "stuck": "flask jobs sweep",
    "schedule": "flask jobs schedules list; see what `probe` finds",
    "overdue": "see what `probe` finds; `flask jobs sweep` publishes what QStash never got",
}


@own("outbox", "migrations")
def outbox() -> Finding:
    """Whatever QStash answers, a job that it has not taken waits here."""
    count, waited = in_transaction(lambda tx: tx.execute(UNPUBLISHED, {"cap": CAP}).one())
    if not count or waited < PATIENCE:
        return passed("no job waits to be published")
    number = f"{count}" if count < CAP else f"at least {CAP}"
    return failure(
        f"{number} jobs wait to be published, the oldest for {durations.in_words(waited)}",
        fix="the log's lines `[jobs] Job not published yet` say what QStash answers; see also "
        "`qstash`, `probe` and `sweep`; then `flask jobs sweep`",
    )


@own("deliveries", "migrations")
def deliveries() -> Finding:
    return _about("idle", "overdue", well="no job is overdue")


@own("processing", "migrations")
def processing() -> Finding:
    return _about("stuck", well="no job is stuck in processing")


@own("failures", "migrations")
def failures() -> Finding:
    return _about("failureRate", well="few jobs of the last hour failed, or none")


@own("firings", "migrations")
def firings() -> Finding:
    return _about("schedule", well="no schedule has stopped firing")


@own("dead-letters", "migrations")
def dead_letters() -> Finding:
    dead = snapshot.measure().dead
    if dead:
        number = f"{dead}" if dead < CAP else f"at least {CAP}"
        return warning(
            f"{number} jobs are failed and dead",
            fix="see why: `flask jobs list --dead`; then `flask jobs retry --dead`, or "
            "`flask jobs delete --dead`",
        )
    return passed("no job is dead")


@own("payloads", "migrations")
def payloads() -> Finding:
    """What is queued was written for the code of its time."""
    checked = list(islice(check_queued(), READ))
    refused = [job for job in checked if job.refusal is not None]
    if refused:
        first = refused[0]
        return failure(
            f"this code would refuse {len(refused)} of {len(checked)} queued jobs, such as "
            f"{first.job_id}: {first.refusal}",
            fix="see all: `flask jobs check`; then mend the code, or delete the jobs",
        )
    return passed(f"this code takes all {len(checked)} queued jobs")


def _about(*codes: str, well: str) -> Finding:
    found: list[Reason] = [one for one in health.check().reasons if one.code in codes]
    if not found:
        return passed(well)
    worst = found[0]
    judge = failure if worst.verdict == Verdict.UNHEALTHY else warning
    return judge(worst.message, fix=FIXES[worst.code])
