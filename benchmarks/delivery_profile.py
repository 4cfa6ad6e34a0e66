"""Show where the CPU of a no-op delivery goes in the app: Python's calls and time by package.

    python benchmarks/delivery_profile.py [--count 500] [--functions 20]

Delivers jobs that do nothing to the app's WSGI side in this process, against a PostgreSQL of its
own, under cProfile. Calls are exact and the same on every machine. Shares are of the time outside
of waiting for PostgreSQL, and cProfile makes those of small functions larger than they are. What
the server in front of the app costs is not in it: `benchmarks/jobs.py` measures that.
"""

import argparse
import cProfile
import logging
import os
import pstats
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "support")]

from werkzeug.test import EnvironBuilder, run_wsgi_app  # noqa: E402 - the paths come first

from app.embedded_postgres.server import Server  # noqa: E402
from tests.support.qstash import BASE_URL, claims_for, token  # noqa: E402

PATH = "/api/jobs/noop"
WARM_UP = 50
#: Where psycopg sends and waits.
WAITS = {"wait", "_send_query_prepared", "_send_query_params"}
_PACKAGE = re.compile(r"site-packages/(\w+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="deliveries")
    parser.add_argument("--functions", type=int, default=0, help="also list so many functions")
    given = parser.parse_args()
    with _database():
        stats = _profile(given.count)
    _report(stats, given.count)
    if given.functions:
        pstats.Stats.print_stats(stats.sort_stats("tottime"), given.functions)


def _profile(count: int) -> pstats.Stats:
    import flask_migrate  # noqa: PLC0415 - after the environment is set
    import one_build  # noqa: PLC0415

    app = one_build.new_app()
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    with app.app_context():
        flask_migrate.upgrade("migrations")
        bodies = one_build.record_jobs(WARM_UP + count)
    requests = [_request(body.encode()) for body in bodies]
    profile = cProfile.Profile()
    for number, request in enumerate(requests):
        if number == WARM_UP:
            profile.enable()
        _, status, _ = run_wsgi_app(app.wsgi_app, request)
        assert status == "200 OK", status
    profile.disable()
    return pstats.Stats(profile)


def _request(body: bytes) -> dict[str, Any]:
    headers = {
        "Content-Type": "application/json",
        "Upstash-Signature": token(claims_for(body, BASE_URL + PATH)),
        "Upstash-Message-Id": "msg_1",
    }
    return EnvironBuilder(path=PATH, method="POST", data=body, headers=headers).get_environ()


def _report(stats: pstats.Stats, count: int) -> None:
    calls: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    table: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]  # has no annotations
    for (file, _, function), (_, number, own, _, _) in table.items():
        if function in WAITS and "psycopg" in file:
            continue
        calls[_package(file)] += number
        seconds[_package(file)] += own
    print(f"{'':20} calls  share")
    for package, spent in seconds.most_common(12):
        print(f"{package:20} {calls[package] / count:5.0f} {spent / seconds.total():6.1%}")
    print(f"{'all':20} {calls.total() / count:5.0f}")


def _package(file: str) -> str:
    if found := _PACKAGE.search(file):
        return found[1]
    if str(ROOT) in file:
        return "this project"
    return "Python, in C" if file == "~" else "Python's library"


@contextmanager
def _database() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        server = Server(Path(name) / "postgres")
        server.start()
        try:
            os.environ |= {
                "APP_ENV": "test",
                "DATABASE_URL": server.create_database("profile"),
                "BASE_URL": BASE_URL,
            }
            os.chdir(ROOT)
            yield
        finally:
            server.destroy()


if __name__ == "__main__":
    main()
