"""Hold what a job costs where the machine's speed does not matter, beside a committed baseline.

Counted are statements, round trips to PostgreSQL, commits, bytes of WAL, updates and how many of
them were HOT (touched no index), and the messages that the schedules of an app with nothing to do
send to QStash in a day. Fails if one of them is worse than in benchmarks/quick/baseline.json, by
more than counting again would change it.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.quick.comparison import compare, complaint, written
from benchmarks.quick.counts import counts

BASELINE = Path(__file__).with_name("baseline.json")
ACCEPT = "make bench-quick BENCH_ARGS=--accept"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench-quick",
        description=__doc__,
        epilog=f"{ACCEPT} writes the baseline anew: then commit it, and say why.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--accept", action="store_true", help="write the baseline anew")
    accept = parser.parse_args().accept
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    counted = {name: round(value, 2) for name, value in counts().items()}
    rows = compare(baseline, counted)
    print(f"{'':50} {'baseline':>8} {'now':>8}")
    for row in rows:
        print(f"{row.name:50} {written(row.baseline):>8} {written(row.now):>8}  {row.verdict}")
    if accept:
        BASELINE.write_text(json.dumps(counted, indent=2) + "\n")
        print(f"Accepted: {BASELINE}")
        return 0
    if any(row.verdict == "better" for row in rows):
        print(f"To hold what has become better: {ACCEPT}")
    wrong = [complaint(row) for row in rows if row.verdict in ("worse", "new", "gone")]
    for sentence in wrong:
        print(f"{sentence}. If that is meant: {ACCEPT}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
