"""What `flask jobs doctor` asks of this app beside the jobs: its settings, and gunicorn's."""

from flask import Blueprint, current_app
from sqlalchemy import QueuePool, text

from app.admin import history
from app.db import db
from app.jobs.doctor import Finding, check, failure, passed, warning
from app.jobs.kit import in_transaction

bp = Blueprint("app_doctor", __name__)

#: The part of the server's connections that may be taken.
FULL = 0.8

_CONNECTIONS = text(
    """
    SELECT count(*) AS taken,
           CAST(current_setting('max_connections') AS int) AS allowed,
           CAST(current_setting('superuser_reserved_connections') AS int) AS reserved
      FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
)


@check(bp, "app-migrations", needs=("database",))
def migrations() -> Finding:
    if problem := history.problem():
        return failure(problem, fix="run `flask db upgrade`")
    return passed("the database has the version of this app's code")


@check(bp, "connections", needs=("database",))
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


@check(bp, "pool")
def pool() -> Finding:
    if _threads() > _pool():
        return failure(
            f"{_threads()} threads of a process share {_pool()} connections, and wait for them",
            fix="lower GUNICORN_THREADS, or raise DATABASE_POOL_SIZE",
        )
    return passed(f"{_threads()} threads of a process share up to {_pool()} connections")


@check(bp, "environment", production=True)
def environment() -> Finding:
    name = current_app.config.get("APP_ENV", "production")
    if name != "production":
        return failure(
            f"APP_ENV is {name}", fix="set APP_ENV=production, which refuses what is unsafe"
        )
    return passed("APP_ENV is production")


@check(bp, "published-secrets", production=True)
def published_secrets() -> Finding:
    """What the source code has for development, everybody has."""
    known = [name for name in current_app.config.get("PUBLISHED_SECRETS", ()) if _is_known(name)]
    if known:
        return failure(
            f"{', '.join(known)}: development's, which the source code shows to everybody",
            fix="set your own; the documentation of each says how one is made",
        )
    return passed("no secret is one that the source code shows")


@check(bp, "rate-limits", production=True)
def rate_limits() -> Finding:
    where = str(current_app.config.get("RATELIMIT_STORAGE_URI", ""))
    if not where or where.startswith("memory:"):
        return warning(
            "rate limits are counted in each process by itself",
            fix="set RATELIMIT_STORAGE_URI=redis://… , so that they hold over all",
        )
    return passed("rate limits are counted in one place")


@check(bp, "logs", production=True)
def logs() -> Finding:
    if current_app.config.get("LOG_FORMAT", "auto") == "text":
        return warning("logs are for people to read", fix="set LOG_FORMAT=json, or auto")
    return passed("logs are JSON")


@check(bp, "slow-clients", production=True)
def slow_clients() -> Finding:
    """Gunicorn's threads read a request for as long as its sender likes, before who it is is known.

    Whether the proxy buffers cannot be seen from here; that there is one, is said.
    """
    if not current_app.config.get("TRUSTED_PROXIES"):
        return warning(
            "no proxy stands before the app (TRUSTED_PROXIES is 0): clients that never finish a "
            "request hold its threads, one each, until nobody is answered",
            fix="put a proxy before it that buffers requests, such as nginx or Caddy with a limit "
            "on reading, and set TRUSTED_PROXIES",
        )
    return passed("a proxy stands before the app; see that it buffers requests")


def _is_known(name: str) -> bool:
    """Tell whether a secret, or one of several between commas, is development's."""
    given = str(current_app.config.get(name) or "")
    known = current_app.config.get("PUBLISHED_SECRETS", {}).get(name)
    return known is not None and known in (given, *map(str.strip, given.split(",")))


def _workers() -> int:
    """Return what gunicorn.conf.py would take from this environment."""
    return int(current_app.config.get("WEB_CONCURRENCY", 1))


def _threads() -> int:
    return int(current_app.config.get("GUNICORN_THREADS", 8))


def _pool() -> int:
    pool = db.engine.pool
    return pool.size() + max(0, pool._max_overflow) if isinstance(pool, QueuePool) else 1000  # noqa: SLF001 - it has no public name
