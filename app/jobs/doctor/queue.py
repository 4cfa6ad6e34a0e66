"""The jobs themselves: late, stuck, failing, dead, or no longer understood."""

from datetime import UTC, datetime, timedelta
from itertools import islice

from .. import durations
from ..operate import health
from ..operate.health import HealthStatus, Reason
from ..operate.queue_check import check_queued
from ..publish import quota
from ..table import snapshot
from ..table.db import in_transaction
from ..table.retention import LOOKED_AT, FinishedJobs
from ..table.snapshot import CAP
from ..table.sweep_sql import UNPUBLISHED
from .checks import Finding, failure, own, passed, warning

#: How many queued jobs are read at most.
READ = 10_000

#: Seconds for which a job may wait to be published: without traffic, processes sweep every five
#: minutes.
PATIENCE = 600

#: What cleanup may be late, which runs once a day.
LATE = timedelta(days=2)
NEVER = timedelta(days=100 * 365)

FIXES = {
    "idle": "check what `probe` finds, then run `flask jobs sweep`",
    "failureRate": "run `flask jobs list --status failed`",
    "stuck": "run `flask jobs sweep`",
    "schedule": "run `flask jobs schedules list`, and check what `probe` finds",
    "overdue": "check what `probe` finds; `flask jobs sweep` publishes what QStash never got",
}


@own("outbox", "migrations")
def outbox() -> Finding:
    """A job that QStash has not accepted waits here."""
    count, waited = in_transaction(lambda tx: tx.execute(UNPUBLISHED, {"cap": CAP}).one())
    if not count or waited < PATIENCE:
        return passed("no job waits to be published")
    number = f"{count}" if count < CAP else f"at least {CAP}"
    if quota.used_up() is not None:
        return warning(f"{number} jobs wait to be published", fix="see `quota`")
    return failure(
        f"{number} jobs wait to be published, the oldest for {durations.in_words(waited)}",
        fix="log lines `[jobs] Job not published yet` say what QStash answers; see also "
        "`qstash`, `probe` and `sweep`; then `flask jobs sweep`",
    )


@own("quota", "migrations")
def daily_quota() -> Finding:
    used_up = quota.used_up()
    if used_up is None:
        return passed("QStash's daily quota is not used up")
    return failure(
        f"{used_up}; until then jobs wait",
        fix="wait, or upgrade the plan at https://console.upstash.com/qstash and run "
        "`flask jobs sweep`; `flask jobs usage` tells what it went on",
    )


@own("pauses", "migrations")
def paused() -> Finding:
    """What a person has paused waits for a person."""
    found = [one.message for one in health.check().reasons if one.code == "paused"]
    if not found:
        return passed("nothing is paused")
    return warning("; ".join(found), fix="when the reason is gone, run `flask jobs resume`")


@own("deliveries", "migrations")
def deliveries() -> Finding:
    return _about("idle", "overdue", well="no job is overdue")


@own("processing", "migrations")
def processing() -> Finding:
    return _about("stuck", well="no job is stuck in processing")


@own("failures", "migrations")
def failures() -> Finding:
    return _about("failureRate", well="few or no jobs failed in the last hour")


@own("firings", "migrations")
def firings() -> Finding:
    return _about("schedule", well="no schedule has stopped firing")


@own("dead-letters", "migrations")
def dead_letters() -> Finding:
    dead = snapshot.measure().dead
    if dead:
        number = f"{dead}" if dead < CAP else f"at least {CAP}"
        return warning(
            f"{number} jobs are dead",
            fix="find out why with `flask jobs list --dead`; then `flask jobs retry --dead`, or "
            "`flask jobs delete --dead`",
        )
    return passed("no job is dead")


@own("payloads", "migrations")
def payloads() -> Finding:
    """Queued jobs were written for the code of their time."""
    checked = list(islice(check_queued(), READ))
    refused = [job for job in checked if job.refusal is not None]
    if refused:
        first = refused[0]
        return failure(
            f"this code would reject {len(refused)} of {len(checked)} queued jobs, such as "
            f"{first.job_id}: {first.refusal}",
            fix="list them with `flask jobs check`; then fix the code, or delete the jobs",
        )
    return passed(f"this code accepts every queued job ({len(checked)})")


def _about(*codes: str, well: str) -> Finding:
    found: list[Reason] = [one for one in health.check().reasons if one.code in codes]
    if not found:
        return passed(well)
    worst = found[0]
    judge = failure if worst.verdict == HealthStatus.UNHEALTHY else warning
    return judge(worst.message, fix=FIXES[worst.code])


@own("retention", "migrations")
def retention() -> Finding:
    """Where nothing deletes old jobs, the table grows without end."""
    due = FinishedJobs.due(datetime.now(UTC) - LATE, otherwise=NEVER)
    if not due.kept:
        return passed("nothing says for how long jobs are kept, but cleanup itself")
    left = in_transaction(due.left)
    if not left:
        return passed("no job is kept for longer than its retention")
    return warning(
        f"{left} of the {LOOKED_AT:,} oldest jobs should be gone by their retention",
        fix="run `flask jobs schedules sync`, so that `cleanup-old-data` runs each night; in an "
        "app without it, have a job delete what `FinishedJobs.due` finds",
    )
