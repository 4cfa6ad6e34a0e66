"""`flask jobs health`: the verdict, for people and probes."""

import sys

import click

from .. import durations
from ..operate import health
from ..operate.health import Health, HealthStatus
from ..table.snapshot import CAP
from . import formatting
from .group import as_json, jobs, print_json

EXIT_CODES = {HealthStatus.HEALTHY: 0, HealthStatus.DEGRADED: 1, HealthStatus.UNHEALTHY: 2}


@jobs.command("health")
@as_json
def tell_health(*, as_json: bool) -> None:
    r"""Report whether jobs are healthy, and why not.

    Exit code 0 means healthy, 1 degraded, 2 unhealthy or unknown, so that it can serve as a probe.
    The settings JOBS_HEALTH_… hold the thresholds.

    \b
    Examples:
      flask jobs health
      flask jobs health --json | jq .failureShare
    """
    found = health.check()
    if as_json:
        print_json(health.as_json(found))
    else:
        click.echo(_text(found))
    sys.exit(EXIT_CODES[found.verdict])


def _text(found: Health) -> str:
    snapshot = found.snapshot
    rate = snapshot.failure_rate
    oldest = snapshot.oldest_pending_seconds
    lines = [
        ("enqueued", _by_status(snapshot.last_hour) + " (last hour)"),
        ("finished", f"completed {snapshot.completed}, failed {snapshot.failed} (last hour)"),
        ("failure rate", "nothing finished" if rate is None else f"{rate:.1%}"),
        ("pending", f"{_number(snapshot.pending)}, overdue {_number(snapshot.overdue)}"),
        ("oldest due for", "nothing is due" if oldest is None else f"{oldest:.0f} s"),
        ("processing", f"{_number(snapshot.processing)}, stuck {snapshot.stuck}"),
        ("retrying", _number(snapshot.retrying)),
        ("paused", _number(snapshot.paused)),
        ("following", _number(snapshot.following)),
        ("dead", _number(snapshot.dead)),
        ("last sweep", _swept(found)),
    ]
    reasons = [f"  {reason.verdict}: {reason.message}" for reason in found.reasons]
    return "\n".join([str(found.verdict), *reasons, "", formatting.table(lines)])


def _by_status(counts: dict[str, int]) -> str:
    return ", ".join(f"{status} {_number(count)}" for status, count in counts.items())


def _swept(found: Health) -> str:
    if found.swept_at is None:
        return "none yet"
    passed = found.snapshot.measured_at - found.swept_at
    return f"{durations.in_words(passed.total_seconds())} ago"


def _number(count: int) -> str:
    return str(count) if count < CAP else f"{CAP}+"
