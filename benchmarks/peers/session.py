"""One session: everything in one PostgreSQL and one Redis, in rounds in which all take turns."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers import counting
from benchmarks.peers.results import Measurement, Session
from benchmarks.peers.scenarios import GROWTH, LADDER, SCENARIOS
from benchmarks.peers.servers import (
    NO_REDIS,
    POSTGRES_SETTINGS,
    REDIS_SETTINGS,
    Postgres,
    Redis,
)
from benchmarks.peers.systems import ROOT, System
from benchmarks.peers.team import Team, start
from benchmarks.support.build import Build, local_qstash
from benchmarks.support.processes import output

#: How the program ends when somebody stops it.
STOPPED = "stopped"
RUNGS = {"empty view": "empty view", "verified": "verified", "bare": "bare SQL", "delivery": "ours"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a session is to do.

    Attributes:
        systems: who takes part, in the order of reports.
        scenarios: keys of SCENARIOS, LADDER and GROWTH.
        rounds: how often everything is measured.
        count: jobs of a scenario whose share is 1.
        say: gets a line for each step.
        keep: gets the session after each round, so that an interruption loses none before.
    """

    systems: Sequence[System]
    scenarios: Sequence[str]
    rounds: int
    count: int
    say: Callable[[str], None]
    keep: Callable[[Session], None]


def run(plan: Plan) -> Session:
    """Measure, and return what was measured.

    Raises:
        SystemExit: This project did not start, or did not do all that it was given; the text has
            the end of its log. Another system that fails is left out from then on.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL may have to run as another account
        postgres = Postgres(folder, stack)
        redis = Redis(folder, stack) if Redis.is_installed() else None
        taking_part = [one for one in plan.systems if redis or not one.needs_redis]
        session = _new_session(plan, taking_part, postgres)
        for one in plan.systems:
            if one not in taking_part:
                session.skipped[one.name] = "redis-server is not installed"
        if session.skipped:
            plan.say(NO_REDIS + ", ".join(session.skipped))
        _Measuring(plan, session, folder, postgres, redis).run(taking_part, stack)
    return session


class _Measuring:
    def __init__(
        self, plan: Plan, session: Session, folder: Path, postgres: Postgres, redis: Redis | None
    ) -> None:
        self._plan = plan
        self._session = session
        self._folder = folder
        self._postgres = postgres
        self._redis = redis

    def run(self, systems: list[System], stack: ExitStack) -> None:
        if GROWTH in self._plan.scenarios:
            self._count(systems)
        chosen = [key for key in SCENARIOS if key in self._plan.scenarios]
        working = [one for one in systems if any(SCENARIOS[key].suits(one) for key in chosen)]
        databases = {one.name: self._postgres.create_database(one.name) for one in working}
        builds = self._builds(systems, stack) if LADDER in self._plan.scenarios else []
        for one in working:
            self._team(one).setup(databases[one.name])
        for number in range(1, self._plan.rounds + 1):
            for one in working if number % 2 else working[::-1]:
                self._plan.say(f"round {number} of {self._plan.rounds}: {one.label}")
                with self._leaving_out(one, working):
                    self._round(number, one, databases[one.name], chosen)
            for build in builds if number % 2 else reversed(builds):
                self._plan.say(f"round {number} of {self._plan.rounds}: ladder, {build.name}")
                self._climb(number, build)
            self._plan.keep(self._session)

    @contextmanager
    def _leaving_out(self, system: System, working: list[System]) -> Iterator[None]:
        """Let the session go on without a system that fails."""
        try:
            yield
        except SystemExit as error:
            if system.root or error.code == STOPPED:
                raise
            working.remove(system)
            self._session.skipped[system.name] = str(error).partition("\n")[0]
            self._plan.say(str(error))

    def _count(self, systems: list[System]) -> None:
        for one in [one for one in systems if one.worker]:
            self._plan.say(f"counting: {one.label}")
            with self._leaving_out(one, systems):
                self._session.counted[one.name] = counting.count(
                    self._team(one), self._postgres, self._redis, self._plan.count
                )

    def _round(self, number: int, system: System, database: str, chosen: Sequence[str]) -> None:
        team = self._team(system)
        with team.at_work(database):
            for key in chosen:
                scenario = SCENARIOS[key]
                if not scenario.suits(system):
                    continue
                jobs = scenario.size(self._plan.count)
                values = scenario.measure(team, jobs)
                self._keep(number, key, system.name, jobs, values)

    def _climb(self, number: int, build: Build) -> None:
        """Deliver to each rung; the first round's are warmed up before."""
        jobs = max(5, self._plan.count // 4)
        for view, rung in RUNGS.items():
            if number == 1:
                build.post(view, 20)
            cost = build.post(view, jobs)
            values = {"cpu_workers": cost.app, "cpu_postgres": cost.postgres, "cpu": cost.sum}
            name = rung if build.name == "ours" else f"{build.name}: {rung}"
            self._keep(number, LADDER, name, jobs, values)

    def _builds(self, systems: Sequence[System], stack: ExitStack) -> list[Build]:
        qstash = stack.enter_context(local_qstash())
        return [
            Build(
                one.name,
                one.root,
                self._postgres.create_sqlalchemy_database(f"ladder_{one.name}"),
                stack,
                qstash,
            )
            for one in systems
            if one.root
        ]

    def _keep(
        self, number: int, scenario: str, system: str, jobs: int, values: dict[str, float]
    ) -> None:
        self._session.measurements.append(
            Measurement(round=number, scenario=scenario, system=system, jobs=jobs, values=values)
        )

    def _team(self, system: System) -> Team:
        return start(system, self._folder, self._postgres, self._redis)


def _new_session(plan: Plan, systems: Sequence[System], postgres: Postgres) -> Session:
    return Session(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        environment={
            "machine": f"{os.cpu_count()} cores, {_processor()}, Linux {platform.release()}",
            "load at the start": f"{os.getloadavg()[0]:.1f}",
            "Python": platform.python_version(),
            "PostgreSQL": f"{postgres.version}, durable, {_words(POSTGRES_SETTINGS)}",
            "Redis": _redis(),
            "commit": _commit(),
        },
        options={
            "rounds": plan.rounds,
            "count": plan.count,
            "scenarios": list(plan.scenarios),
        },
        systems={
            one.name: {
                "label": one.label,
                "version": one.version(),
                "runs_as": one.runs_as,
                "records": one.records,
                "durable": one.durable,
            }
            for one in systems
        },
    )


def _words(settings: dict[str, str]) -> str:
    return ", ".join(f"{name} {value or 'off'}" for name, value in settings.items())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _redis() -> str:
    if not Redis.is_installed():
        return "not installed"
    version = output("redis-server", "--version").partition("v=")[2].split()[0]
    return f"{version}, {_words(REDIS_SETTINGS)}"


def _commit() -> str:
    return output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or "unknown"


def progress(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {line}", file=sys.stderr, flush=True)
