"""What does not depend on the machine's speed, counted while real processes run real jobs.

The app runs under gunicorn on an embedded PostgreSQL, with the local QStash server; a proxy before
PostgreSQL counts statements, round trips and commits.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import cron
from app.config import DEV_QSTASH
from benchmarks.peers import counting
from benchmarks.peers.scenarios import BULK
from benchmarks.peers.servers import POSTGRES_SETTINGS, Postgres
from benchmarks.peers.systems import OURS, ROOT, System
from benchmarks.peers.team import Team, start
from benchmarks.support.wire import Wire

JOBS = 200
#: Vacuums would write to the WAL when it suits them.
_SETTINGS = POSTGRES_SETTINGS | {"autovacuum": "off"}
#: As in the life of a job; the keys of `counting.count`, and what they are called here.
_LIFE = {
    "enqueue_statements": "enqueue: statements",
    "enqueue_round_trips": "enqueue: round trips",
    "enqueue_commits": "enqueue: commits",
    "enqueue_wal": "enqueue: WAL bytes",
    "execute_statements": "execute: statements",
    "execute_round_trips": "execute: round trips",
    "execute_commits": "execute: commits",
    "execute_wal": "execute: WAL bytes",
    "updates": "enqueue and execute: updates",
}


def counts() -> dict[str, float]:
    """Return all that is held, by its name; per job, where nothing else is said."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may have to run as another account
        postgres = Postgres(folder, stack, _SETTINGS)
        return {
            **_life(_team(OURS, folder, postgres), postgres),
            **_without_workers(folder, postgres),
        }


def _life(team: Team, postgres: Postgres) -> dict[str, float]:
    counted = counting.count(team, postgres, None, JOBS)
    hot = counted["hot"] / counted["updates"]
    named = {_LIFE[key]: counted[key] for key in _LIFE}
    return {**named, "enqueue and execute: HOT share": hot}


def _without_workers(folder: Path, postgres: Postgres) -> dict[str, float]:
    """Count what needs only the app, PostgreSQL and QStash."""
    system = replace(OURS, name="without_workers", worker=())
    team = _team(system, folder, postgres)
    url = postgres.create_database(system.name)
    team.setup(url)
    with Wire(postgres.port) as wire, team.at_work(url, postgres.through(url, wire.port)) as env:
        team.ask("single", count=1, parked=True)  # connects
        before, wal = wire.count.copy(), postgres.wal()
        team.ask("bulk", count=BULK, parked=True)
        made = wire.count - before
        return {
            f"enqueue {BULK:,} at once, in all: statements": made["statements"],
            f"enqueue {BULK:,} at once, in all: round trips": made["round_trips"],
            f"enqueue {BULK:,} at once, in all: commits": made["commits"],
            f"enqueue {BULK:,} at once: WAL bytes": (postgres.wal() - wal) / BULK,
            "idle app: messages a day": _messages_a_day(env),
        }


def _messages_a_day(env: dict[str, str]) -> float:
    """Have QStash get the schedules, as a deployment does, and return how often they fire."""
    sync = [sys.executable, "-m", "flask", "jobs", "schedules", "sync"]
    subprocess.run(sync, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    asked = urllib.request.Request(  # noqa: S310 - our own server
        f"{env['QSTASH_URL']}/v2/schedules",
        headers={"Authorization": f"Bearer {DEV_QSTASH['QSTASH_TOKEN']}"},
    )
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - likewise
        return sum(_firings(schedule["cron"]) for schedule in json.load(answer))


def _firings(expression: str) -> int:
    schedule = cron.parse(expression)
    moment = datetime(2026, 1, 5, tzinfo=UTC) - timedelta(seconds=1)
    end, found = moment + timedelta(days=1), 0
    while (moment := schedule.next(moment)) <= end:
        found += 1
    return found


def _team(system: System, folder: Path, postgres: Postgres) -> Team:
    return start(system, folder, postgres, None)
