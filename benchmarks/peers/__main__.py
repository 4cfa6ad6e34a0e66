"""Run this project beside other job systems, and floors, in one session on one machine.

Each system executes the same jobs on one embedded PostgreSQL and one Redis (from the system's
packages), with two processes of eight threads where it has threads. All take turns in each round,
and only the one whose turn it is runs. Counted are CPU milliseconds by process, WAL, and time; in a
run of its own, statements, round trips, commits and what the tables keep.

Wall clock and milliseconds depend on the machine: compare rows of one session. A value whose rounds
differ by more than 15 % is marked with ~, and no ratio is taken from it.
"""

import argparse
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import chart, page, session
from benchmarks.peers.results import Session
from benchmarks.peers.scenarios import GROWTH, LADDER, SCENARIOS
from benchmarks.peers.systems import FLOOR, OURS, PEERS, ROOT, System, ours

EXAMPLES = """\
examples:
  make bench                                      everything; writes docs/benchmarks.md
  make bench BENCH_ARGS="--rounds 1 --count 50"   a look in some minutes; without ratios
  make bench BENCH_ARGS="--peers procrastinate --scenarios noop,growth"
  make bench BENCH_ARGS="--peers none --against /tmp/before"
                                                  beside another checkout of this project, made by
                                                  git worktree add /tmp/before HEAD~1

The raw numbers are kept in instance/benchmarks. docs/benchmarks.md is written when all peers and
all scenarios took part, or from kept numbers with --from FILE.
"""

KEPT = ROOT / "instance/benchmarks"
PAGE = ROOT / "docs/benchmarks.md"
README = ROOT / "README.md"
CHART = ROOT / "docs/images/benchmarks.svg"
ALL = (*SCENARIOS, LADDER, GROWTH)


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(session.STOPPED))
    measured = given.kept or measure(given)
    report(measured, complete=given.against is None and is_complete(measured))


def measure(given: argparse.Namespace) -> Session:
    file = given.json or KEPT / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    plan = session.Plan(
        systems=systems(given),
        scenarios=given.scenarios,
        rounds=given.rounds,
        count=given.count,
        say=session.progress,
        keep=lambda measured: measured.save(file),
    )
    measured = session.run(plan)
    measured.save(file)
    print(f"The raw numbers are in {file}", file=sys.stderr)
    return measured


def report(measured: Session, *, complete: bool) -> None:
    """Print the page; write it, its chart and its line in README if it is complete."""
    written = page.page(measured)
    print(written)
    if complete:
        CHART.write_text(chart.chart(measured))
        PAGE.write_text(written)
        line = re.compile("^`make bench` measures .*$", re.MULTILINE)
        README.write_text(line.sub(lambda _: page.figure(measured), README.read_text()))
        print(f"Written: {PAGE}, {CHART} and its line in {README}", file=sys.stderr)
    else:
        print(f"{PAGE} stays as it is: not everything took part", file=sys.stderr)


def is_complete(measured: Session) -> bool:
    expected = {OURS.name, FLOOR.name, *(one.name for one in PEERS)}
    if measured.skipped:
        return False
    return measured.systems.keys() == expected and set(measured.options["scenarios"]) == set(ALL)


def systems(given: argparse.Namespace) -> list[System]:
    builds = [OURS]
    if given.against:
        builds.append(ours("before", "ours before", given.against.resolve()))
    return [*builds, *(one for one in PEERS if one.name in given.peers), FLOOR]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    peers = [one.name for one in PEERS]
    parser.add_argument("--rounds", type=at_least(1), default=5, help="how often (default: 5)")
    parser.add_argument(
        "--count", type=at_least(10), default=600, help="no-op jobs in a round (default: 600)"
    )
    parser.add_argument(
        "--peers",
        type=names(peers),
        default=peers,
        help=f"some of {','.join(peers)}; or none (default: all)",
    )
    parser.add_argument(
        "--scenarios",
        type=names(list(ALL)),
        default=list(ALL),
        help=f"some of {','.join(ALL)} (default: all)",
    )
    parser.add_argument(
        "--against", type=checkout, metavar="CHECKOUT", help="another checkout of this project"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the raw numbers are kept")
    parser.add_argument(
        "--from",
        dest="kept",
        type=kept,
        metavar="FILE",
        help="measure nothing: report what an earlier session kept",
    )
    return parser.parse_args()


def at_least(least: int) -> Any:
    def read(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return read


def names(known: list[str]) -> Any:
    def read(text: str) -> list[str]:
        chosen = [] if text == "none" else text.split(",")
        unknown = [one for one in chosen if one not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)} is not known; there are {', '.join(known)}"
            )
        return chosen

    return read


def kept(text: str) -> Session:
    try:
        return Session.load(Path(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text} has no session of `make bench`") from error


def checkout(text: str) -> Path:
    path = Path(text)
    if not (path / "gunicorn.conf.py").exists():
        raise argparse.ArgumentTypeError(f"{text} is no checkout of this project")
    return path


if __name__ == "__main__":
    main()
