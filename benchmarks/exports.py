"""Measure exports of a million users: speed beside psql's COPY, and the memory that they take.

    python benchmarks/exports.py [--rows 200000]

Runs on its own PostgreSQL. The floor is `COPY users TO STDOUT` that psql writes to a file, and
for xlsx XlsxWriter in its constant-memory mode that is fed with ready rows (a tenth of them, as it
takes so long). Each export runs in a separate process, whose peak memory is reported, and that of
the process which an export has for itself; it writes to the local store as a job does, with its
hash and its row. Floors and exports take turns.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter
from uuid import uuid4

import flask_migrate

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402 - the path comes first
from app.db import db  # noqa: E402
from app.dev.temporary_postgres import temporary_server  # noqa: E402

#: Format → what part of the floor's speed it shall have.
TARGETS = {"csv": 0.6, "jsonl": 0.4, "json": 0.4, "parquet": 0.4, "xlsx": 1.0}
MEGABYTES = 120
TENTH = 10
FILL = """
    INSERT INTO users (email, name, created_at, updated_at)
    SELECT 'person.' || n || '@example.com', 'Person number ' || n,
           now() - n * interval '31.0047 seconds', now() - n * interval '7.0013 seconds'
      FROM generate_series(1, :rows) AS n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--export", help=argparse.SUPPRESS)
    parser.add_argument("--xlsxwriter", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.export:
        export(given.export)
    elif given.xlsxwriter:
        xlsxwriter(given.rows)
    else:
        with temporary_server() as server, tempfile.TemporaryDirectory() as folder:
            os.environ.update(APP_ENV="test", DATABASE_URL=server.url(), LOG_LEVEL="ERROR")
            os.environ["ARTIFACTS_DIR"] = folder
            with create_app().app_context():
                fill(given.rows)
            measure(given.rows, server.url().replace("+psycopg", ""), Path(folder, "floor"))


def fill(rows: int) -> None:
    flask_migrate.upgrade(str(ROOT / "migrations"))
    db.session.execute(db.text(FILL), {"rows": rows})
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE users")


def measure(rows: int, url: str, file: Path) -> None:
    print(f"\n{rows:,} users")
    copy(url, file)  # the first reading fills the caches
    ready = TENTH * run("--xlsxwriter", "--rows", str(rows // TENTH))[0]
    print(f"  XlsxWriter, constant memory, ready rows: {ready:.1f} s (ten times a tenth)")
    for name, target in TARGETS.items():
        floor = ready if name == "xlsx" else copy(url, file)
        seconds, megabytes, apart = run("--export", name)
        print(
            f"  {name:8}{seconds:6.2f} s, {floor / seconds:6.0%} of the floor's speed"
            f" ({floor:.2f} s; target {target:.0%}), peak {megabytes:.0f} MB"
            f" (target under {MEGABYTES})"
            + (f", and {apart:.0f} MB in a process that ends with it" if apart else "")
        )


def copy(url: str, file: Path) -> float:
    psql = shutil.which("psql")
    assert psql, "the floor needs psql on the PATH"
    start = perf_counter()
    with file.open("wb") as out:
        subprocess.run([psql, url, "-c", "COPY users TO STDOUT"], stdout=out, check=True)  # noqa: S603
    return perf_counter() - start


def run(*arguments: str) -> tuple[float, float, float]:
    """Run this file in a separate process.

    Returns the seconds that it reports, and the megabytes of it and of a process of its own.
    """
    command = [sys.executable, __file__, *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout  # noqa: S603
    seconds, megabytes, apart = map(float, told.split())
    return seconds, megabytes, apart


def export(name: str) -> None:
    from app.families.exports.export_data import export_data  # noqa: PLC0415 - found by its app
    from app.families.exports.payload import ExportData  # noqa: PLC0415
    from app.jobs import Job  # noqa: PLC0415

    with create_app().app_context():
        db.session.connection()
        job = Job(
            id=str(uuid4()),
            type="export-data",
            attempt=1,
            generation=0,
            expires_at=monotonic() + 3600,
        )
        start = perf_counter()
        export_data(ExportData("users", name), job)
        db.session.commit()
        tell(perf_counter() - start)


def xlsxwriter(rows: int) -> None:
    import xlsxwriter  # noqa: PLC0415 - the floor's own process

    moment = datetime(2026, 1, 1)  # noqa: DTZ001 - a spreadsheet's times have no zone
    ready = [
        (n, f"person.{n}@example.com", f"Person number {n}", moment - timedelta(n), moment)
        for n in range(rows)
    ]
    start = perf_counter()
    with tempfile.NamedTemporaryFile() as file:
        options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        with xlsxwriter.Workbook(file.name, options) as workbook:
            sheet = workbook.add_worksheet("users")
            for index, row in enumerate(ready):
                sheet.write_row(index, 0, row)
    tell(perf_counter() - start)


def tell(seconds: float) -> None:
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(seconds, *(resource.getrusage(who).ru_maxrss / 1024 for who in of))


if __name__ == "__main__":
    main()
