"""What is measured: each scenario is one kind of work that every system does in each round."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.peers.systems import System
from benchmarks.peers.team import Team, Usage

#: The values of a measurement, each per job: `cpu…` in milliseconds, `wal` in bytes, `p50` and
#: `p99` in milliseconds; and `rate`, the jobs per second.
Values = dict[str, float]

BULK = 1000
_PACE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of work.

    Attributes:
        title: in reports.
        says: what the job or the call is, and what `p50` and `p99` are the times of.
        executes: whether jobs are executed, so that it needs workers.
        share: how many jobs it takes of what `--count` gives.
        jobs: how many jobs it takes whatever `--count` gives.
        measure: does it with so many jobs.
    """

    title: str
    says: str
    executes: bool = True
    share: float = 1
    jobs: int = 0
    measure: Callable[[Team, int], Values]

    def suits(self, system: System) -> bool:
        return bool(system.worker) or not self.executes

    def size(self, count: int) -> int:
        return self.jobs or max(5, round(self.share * count))


def percentiles(values: list[float]) -> Values:
    if len(values) == 1:
        return {"p50": values[0]}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98]}


def _enqueue(do: str) -> Callable[[Team, int], Values]:
    """Return how a system's enqueue is measured, with all that takes part but workers."""

    def measure(team: Team, count: int) -> Values:
        before = team.usage()
        said = team.ask(do, count=count, parked=True)
        after = team.usage()
        parts = {
            "cpu_producer": 1000 * said["cpu"] / count,
            "cpu_server": _each(before.server, after.server, count),
            "cpu_postgres": _each(
                before.postgres + before.producers, after.postgres + after.producers, count
            ),
        }
        rate = 1000 * count / sum(said["calls"])
        return {
            **parts,
            "cpu": sum(parts.values()),
            "wal": (after.wal - before.wal) / count,
            "rate": rate,
            **percentiles(said["calls"]),
        }

    return measure


def _execute(do: str = "bulk", **job: float) -> Callable[[Team, int], Values]:
    """Return how execution is measured: workers, queue server and PostgreSQL, not the producer."""

    def measure(team: Team, count: int) -> Values:
        before = team.usage()
        executed = team.execute(do, count=count, **job)
        after = team.usage()
        parts = _parts(before, after, count)
        return {
            **parts,
            "cpu": sum(parts.values()),
            "cpu_producer": 1000 * executed.said["cpu"] / count,
            "wal": (after.wal - before.wal) / count,
            **(
                percentiles(executed.took)
                if do == "single"
                else {"rate": count / (after.time - before.time)}
            ),
            **team.memory(),
        }

    return measure


def _parts(before: Usage, after: Usage, count: int) -> Values:
    return {
        "cpu_workers": _each(before.workers, after.workers, count),
        "cpu_server": _each(before.server, after.server, count),
        "cpu_postgres": _each(before.postgres, after.postgres, count),
    }


def _each(before: float, after: float, count: int) -> float:
    """Return the milliseconds of one of so many, of a difference in seconds."""
    return 1000 * (after - before) / count


SCENARIOS: dict[str, Scenario] = {
    "single": Scenario(
        title="Enqueue, one by one",
        says="one call per job, until it is durable; p50 and p99 are those of a call",
        executes=False,
        share=1 / 3,
        measure=_enqueue("single"),
    ),
    "bulk": Scenario(
        title=f"Enqueue {BULK:,} at once",
        says="one call for all where the system has one, else its own way for many;"
        " p50 is the time of the whole",
        executes=False,
        jobs=BULK,
        measure=_enqueue("bulk"),
    ),
    "noop": Scenario(
        title="Execute and record, no-op",
        says="enqueued at once; until the last is recorded",
        measure=_execute(),
    ),
    "wait": Scenario(
        title="Execute and record, 20 ms wait",
        says="likewise, and each handler sleeps 20 ms",
        share=1 / 2,
        measure=_execute(wait=0.02),
    ),
    "kib1": Scenario(
        title="Execute and record, 1 KiB payload",
        says="likewise, with a string of 1,024 characters among the arguments",
        share=1 / 2,
        measure=_execute(size=1024),
    ),
    "kib100": Scenario(
        title="Execute and record, 100 KiB payload",
        says="likewise, with a string of 102,400 characters",
        share=1 / 8,
        measure=_execute(size=102_400),
    ),
    "paced": Scenario(
        title="End to end, at low load",
        says="a job each 20 ms; p50 and p99 are from just before the enqueue to the end of"
        " the handler",
        share=1 / 4,
        measure=_execute("single", every=_PACE),
    ),
}
#: What else can be chosen: these have a form of their own.
LADDER, GROWTH = "ladder", "growth"
