"""The database: reachable, migrated, fast, with spare connections, and with the same clock."""

from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from sqlalchemy import Connection, text

from ..errors import DatabaseUnavailable
from ..migrations import VERSION_TABLE, metadata
from ..operate import readiness
from ..table import owner_columns
from ..table.db import in_transaction, upgrade_command
from ..table.schema import how_to_move, is_kept, name_of_schema, places
from ..values.ids import id_type
from .checks import Finding, failure, own, passed, warning

#: Milliseconds of a round trip above which every delivery takes noticeably longer.
SLOW_MS = 20.0
#: Seconds by which the clocks may differ without consequences.
SKEW = 2.0


@own("database")
def database() -> Finding:
    try:
        took = in_transaction(lambda tx: [_round_trip(tx) for _ in range(5)])
    except DatabaseUnavailable as error:
        return failure(
            str(error),
            fix="check DATABASE_URL, and that PostgreSQL runs there; until then, deliveries are "
            "answered 503 and come back",
        )
    milliseconds = median(took) * 1000
    if milliseconds > SLOW_MS:
        return warning(
            f"a round trip to the database takes {milliseconds:.0f} ms; a delivery makes several",
            fix="run the app near its database, and see what loads that",
        )
    return passed(f"a round trip to the database takes {milliseconds:.1f} ms")


@own("migrations", "database")
def migrations() -> Finding:
    problem = readiness.migrations()
    if problem:
        return failure(problem, fix=f"run `{upgrade_command()}`")
    return passed("the database has the code's version")


@own("schema", "migrations")
def schema() -> Finding:
    name = name_of_schema()
    found = in_transaction(lambda tx: places(tx, [*metadata.tables, VERSION_TABLE]))
    home = name or found[VERSION_TABLE]
    if wrong := [f"{place}.{table}" for table, place in found.items() if place not in {home, None}]:
        return failure(
            f"{', '.join(wrong)} would be used, though the tables of jobs are in {home}, which the "
            "search_path has later",
            fix=how_to_move(wrong),
        )
    if None in found.values():
        return failure(
            f"the tables are in {home}, which is not in the search_path of this connection",
            fix=f"run ALTER ROLE … SET search_path TO …, {name}, or keep what a session has",
        )
    if name and not in_transaction(is_kept):
        return warning(
            f"the tables are in {home}, but a pooler such as PgBouncer is between, which may keep "
            "no search_path that a session has set",
            fix=f"if it pools transactions, run ALTER ROLE … SET search_path TO …, {name}",
        )
    return passed(f"the tables are in the schema {home}")


@own("id-type", "migrations")
def ids() -> Finding:
    tables = metadata.tables.values()
    if wrong := in_transaction(lambda tx: owner_columns.unlike(tx, tables)):
        return failure(
            f"{', '.join(wrong)} cannot hold ids of JOBS_ID_TYPE={id_type()}",
            fix=f"set JOBS_ID_TYPE to what your ids are, then run `{upgrade_command()}`",
        )
    return passed(f"the columns hold ids of JOBS_ID_TYPE={id_type()}")


@own("database-clock", "database")
def clock() -> Finding:
    before = datetime.now(UTC)
    theirs = in_transaction(lambda tx: tx.execute(text("SELECT clock_timestamp()")).scalar_one())
    ours = before + (datetime.now(UTC) - before) / 2
    skew = (theirs - ours).total_seconds()
    if abs(skew) > SKEW:
        return warning(
            f"the database's clock differs from this machine's by {skew:+.0f} s",
            fix="have both set by NTP",
        )
    return passed("the database's clock is this machine's")


def _round_trip(tx: Connection) -> float:
    start = perf_counter()
    tx.execute(text("SELECT 1"))
    return perf_counter() - start
