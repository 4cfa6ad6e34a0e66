"""Measure what a job costs, in CPU time, beside the floor of the same work done by hand.

    python benchmarks/jobs.py [--rounds 5] [--count 100] [--against CHECKOUT]

Wall clock says little on a machine that does other things, too: this counts the CPU milliseconds of
the app's process and of its connections to PostgreSQL, in rounds in which all take turns, and
prints the median of the rounds. Only ratios mean something elsewhere:

- an enqueue in a session, beside the same INSERT through SQLAlchemy Core in that session;
- an enqueue on its own, and `enqueue_many` of 1,000, with the local QStash server, and the note
  that it has them, which only jobs need that are not executed soon;
- a delivery of a no-op job over HTTP to gunicorn, beside a view that only answers 200, one that
  only verifies the signature, and one that makes two bare psycopg statements in two transactions;
- each of these beside that of another checkout, such as the commit before a change:

    git worktree add /tmp/before HEAD~1 && python benchmarks/jobs.py --against /tmp/before

Needs Linux, whose /proc tells what each process used.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.embedded_postgres.server import Server  # noqa: E402 - the path comes first
from benchmarks.support.build import VIEWS, Build, Cost, local_qstash  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

IN_PROCESS = ("core_insert", "enqueue_in_session", "enqueue_alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100, help="operations of one kind in a round")
    parser.add_argument("--against", type=Path, help="another checkout, to be measured beside")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o711)
        server = Server(Path(name) / "postgres")
        server.start()
        stack.callback(server.destroy)
        qstash = stack.enter_context(local_qstash())
        paths = {"this build": ROOT} | ({"the other": given.against} if given.against else {})
        builds = [
            Build(each, path.resolve(), server.create_database(f"bench{index}"), stack, qstash)
            for index, (each, path) in enumerate(paths.items())
        ]
        _measure(builds, given.rounds, given.count)


def _measure(builds: list[Build], rounds: int, count: int) -> None:
    kinds: dict[str, Callable[[Build], Cost]] = {
        **{view: lambda build, view=view: build.post(view, count) for view in VIEWS},  # type: ignore[misc]  # mypy cannot infer a default's type
        **{name: lambda build, name=name: build.run(name, count) for name in IN_PROCESS},  # type: ignore[misc]  # likewise
        "enqueue_a_thousand": lambda build: build.run("enqueue_a_thousand", 1),
    }
    costs: dict[tuple[str, str], list[Cost]] = {}
    for number in range(rounds + 1):
        for kind, operation in kinds.items():
            for build in builds if number % 2 else reversed(builds):
                cost = operation(build)
                if number:  # the first warms up
                    costs.setdefault((kind, build.name), []).append(cost)
    _report(builds, costs)
    for name in ("deliver", "enqueue_in_session", "enqueue_alone"):
        counted = ", ".join(f"{build.name} {build.ask('round_trips', name)}" for build in builds)
        print(f"round trips to PostgreSQL, {name}: {counted}")


def _report(builds: list[Build], costs: dict[tuple[str, str], list[Cost]]) -> None:
    floors = {"delivery": "bare", "enqueue_in_session": "core_insert"}
    print(f"{'CPU ms each':20} {'build':10}    app  postgres    sum  spread   floor   other")
    for (kind, name), found in costs.items():
        own = statistics.median(cost.sum for cost in found)
        quarters = statistics.quantiles((cost.sum for cost in found), n=4)
        spread = f"{(quarters[2] - quarters[0]) / own:7.0%}"
        floor = _ratio(found, costs.get((floors.get(kind, ""), name)))
        other = _ratio(found, costs.get((kind, builds[-1].name)))
        app, postgres = (statistics.median(cost[part] for cost in found) for part in (0, 1))
        print(f"{kind:20} {name:10} {app:6.3f} {postgres:9.3f} {own:6.3f} {spread} {floor} {other}")


def _ratio(found: list[Cost], beside: list[Cost] | None) -> str:
    """Return the median of the ratios of each round."""
    if beside is None or beside is found:
        return " " * 7
    ratios = [one.sum / other.sum for one, other in zip(found, beside, strict=True)]
    return f"{statistics.median(ratios):6.2f}x"


if __name__ == "__main__":
    main()
