"""The database: there, migrated, quick, with connections to spare, and with the same clock."""

from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from flask import current_app
from sqlalchemy import Connection, QueuePool, text

from ..errors import DatabaseUnavailable
from ..operate import readiness
from ..table.db import db, in_transaction
from .checks import Finding, failure, own, passed, warning

#: Milliseconds of a round trip above which every delivery takes noticeably longer.
SLOW_MS = 20.0
#: Seconds by which the clocks may differ without anybody noticing.
SKEW = 2.0
#: The part of the server's connections that may be taken.
FULL = 0.8


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
        return failure(problem, fix="run `flask db upgrade`")
    return passed("the database has the code's version")


@own("connections", "database")
def connections() -> Finding:
    row = in_transaction(lambda tx: tx.execute(_CONNECTIONS).one())
    usable = row.allowed - row.reserved
    if row.taken > FULL * usable:
        return failure(
            f"{row.taken} of the database's {usable} connections are taken",
            fix="raise max_connections, run fewer processes, or put a pooler such as pgbouncer "
            "between",
        )
    wanted = _workers() * _pool()
    if wanted > usable:
        return warning(
            f"{_workers()} processes may want {wanted} connections; the database has {usable}",
            fix="lower WEB_CONCURRENCY or DATABASE_POOL_SIZE, or put a pooler between",
        )
    return passed(f"{row.taken} of the database's {usable} connections are taken")


@own("pool")
def pool() -> Finding:
    if _threads() > _pool():
        return failure(
            f"{_threads()} threads of a process share {_pool()} connections, and wait for them",
            fix="lower GUNICORN_THREADS, or raise DATABASE_POOL_SIZE",
        )
    return passed(f"{_threads()} threads of a process share up to {_pool()} connections")


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


_CONNECTIONS = text(
    """
    SELECT count(*) AS taken,
           CAST(current_setting('max_connections') AS int) AS allowed,
           CAST(current_setting('superuser_reserved_connections') AS int) AS reserved
      FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
)


def _round_trip(tx: Connection) -> float:
    start = perf_counter()
    tx.execute(text("SELECT 1"))
    return perf_counter() - start


def _workers() -> int:
    """Return how many processes gunicorn starts, where the app knows it."""
    return int(current_app.config.get("WEB_CONCURRENCY", 1))


def _threads() -> int:
    return int(current_app.config.get("GUNICORN_THREADS", 8))


def _pool() -> int:
    pool = db.engine.pool
    return pool.size() + max(0, pool._max_overflow) if isinstance(pool, QueuePool) else 1000  # noqa: SLF001 - it has no public name
