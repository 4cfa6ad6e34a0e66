"""Show what a no-op job writes to PostgreSQL's WAL, record by record: table, indexes, commits.

    python benchmarks/wal.py [--count 300]

Enqueues jobs one by one, each in a transaction of its own, and delivers them to the app's WSGI side
in this process, against a PostgreSQL of its own. Then `pg_waldump` tells the records apart.
"""

import argparse
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "support")]

import psycopg  # noqa: E402 - the paths come first

from app.embedded_postgres.binaries import find_binaries  # noqa: E402
from app.embedded_postgres.server import Server  # noqa: E402
from tests.support import qstash  # noqa: E402

#: Nothing but the jobs is to write: neither vacuums, nor whole pages after a checkpoint.
SETTINGS = {"autovacuum": "off", "full_page_writes": "off"}
_RECORD = re.compile(
    r"rmgr: (?P<kind>\w+) +len \(rec/tot\): +\d+/ *(?P<bytes>\d+),.*?desc: (?P<what>\S+)"
    r"(?:.*? rel \d+/\d+/(?P<file>\d+))?"
)
_FILES = "SELECT pg_relation_filenode(oid)::text, relname FROM pg_class WHERE relkind IN ('r', 'i')"
_UPDATES = """
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'job_executions'
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=300, help="jobs")
    count = parser.parse_args().count
    program = find_binaries().folder / "pg_waldump"
    if not program.exists():
        raise SystemExit(f"{program} is missing: install PostgreSQL's server package")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o711)  # PostgreSQL may have to run as another account
        server = Server(Path(name) / "postgres")
        server.start()
        stack.callback(server.destroy)
        url = server.create_database("bench")
        admin = stack.enter_context(psycopg.connect(url.replace("+psycopg", ""), autocommit=True))
        for setting, value in SETTINGS.items():
            admin.execute(f"ALTER SYSTEM SET {setting} = {value}".encode())
        admin.execute("SELECT pg_reload_conf()")
        parts = _parts(admin, url, count)
        admin.execute("CREATE TABLE flushes_the_wal ()")
        files = dict(admin.execute(_FILES).fetchall())
        [(folder,)] = admin.execute("SHOW data_directory").fetchall()
        for part, (begin, end) in parts.items():
            command = [program, "--path", f"{folder}/pg_wal", "--start", begin, "--end", end]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own
            _report(part, told, files, count)
        print(f"updates, and heap-only ones: {admin.execute(_UPDATES).fetchone()}")


def _parts(admin: psycopg.Connection, url: str, count: int) -> dict[str, tuple[str, str]]:
    """Enqueue and deliver jobs; return from where to where in the WAL each is."""
    os.environ |= {"APP_ENV": "test", "DATABASE_URL": url, "BASE_URL": qstash.BASE_URL}
    # Nobody is there: an enqueue writes what it has to, and publishes nothing.
    os.environ["QSTASH_URL"] = "http://127.0.0.1:1"
    import flask_migrate  # noqa: PLC0415 - after the environment is set
    import one_build  # noqa: PLC0415

    app = one_build.new_app()
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    client = app.test_client()

    def enqueue() -> None:
        for _ in range(count):
            one_build.enqueue_in_session()
            one_build.db.session.commit()

    def deliver() -> None:
        for body in bodies:
            answer = qstash.deliver(client, body.encode(), "/api/jobs/noop")
            assert answer.status_code == 200, answer.text

    with app.app_context():
        flask_migrate.upgrade("migrations")
        one_build.db.create_all()
        bodies = one_build.record_jobs(50)
        deliver()  # until tree and heap pages are as they stay
        enqueued = _between(admin, enqueue)
        waiting = "SELECT payload::text FROM job_executions WHERE status = 'pending'"
        bodies = [body for (body,) in admin.execute(waiting)]
        return {"enqueue": enqueued, "claim and completion": _between(admin, deliver)}


def _between(admin: psycopg.Connection, work: Callable[[], None]) -> tuple[str, str]:
    positions = []
    for step in (lambda: None, work):
        step()
        [(position,)] = admin.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
        positions.append(position)
    return positions[0], positions[1]


def _report(part: str, told: str, files: dict[str, str], count: int) -> None:
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for record in map(_RECORD.match, told.splitlines()):
        if record is not None:
            where = files.get(record["file"], "") or record["what"].lower()
            sizes[f"{record['kind']} {where}"].append(int(record["bytes"]))
    print(f"{part:<52}{'records':>9}{'bytes':>9} per job")
    for name, each in sorted(sizes.items(), key=lambda item: -sum(item[1])):
        if sum(each) / count >= 1:
            print(f"  {name:<50}{len(each) / count:>9.2f}{sum(each) / count:>9.0f}")
    print(f"  {'all':<59}{sum(map(sum, sizes.values())) / count:>9.0f}")


if __name__ == "__main__":
    main()
