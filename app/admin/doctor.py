"""Checks of `flask jobs doctor` for this app: its settings, and gunicorn's."""

from flask import Blueprint, current_app
from sqlalchemy import QueuePool, text

from app.admin import history
from app.db import db
from app.jobs.doctor import Finding, check, failure, passed, warning
from app.jobs.kit import in_transaction

bp = Blueprint("app_doctor", __name__)

#: The share of the server's connections that may be in use.
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
            f"{row.taken} of the database's {usable} connections are in use",
            fix="raise max_connections, run fewer processes, or put a pooler such as pgbouncer "
            "between",
        )
    wanted = _workers() * _pool()
    if wanted > usable:
        return warning(
            f"{_workers()} processes may open {wanted} connections; the database has {usable}",
            fix="lower WEB_CONCURRENCY or DATABASE_POOL_SIZE, or use a pooler",
        )
    return passed(f"{row.taken} of the database's {usable} connections are in use")


@check(bp, "pool")
def pool() -> Finding:
    if _threads() > _pool():
        return failure(
            f"{_threads()} threads of a process share only {_pool()} connections",
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
    """The secrets that the source code has for development are public."""
    known = [name for name in current_app.config.get("PUBLISHED_SECRETS", ()) if _is_known(name)]
    if known:
        return failure(
            f"{', '.join(known)}: the development value, which is public in the source code",
            fix="set your own; .env.example says how to generate each",
        )
    return passed("no secret is a development value")


@check(bp, "rate-limits", production=True)
def rate_limits() -> Finding:
    where = str(current_app.config.get("RATELIMIT_STORAGE_URI", ""))
    if not where or where.startswith("memory:"):
        return warning(
            "rate limits are counted in each process separately",
            fix="set RATELIMIT_STORAGE_URI=redis://…, so that all processes share them",
        )
    return passed("rate limits are counted in one place")


@check(bp, "logs", production=True)
def logs() -> Finding:
    if current_app.config.get("LOG_FORMAT", "auto") == "text":
        return warning("logs are plain text, not JSON", fix="set LOG_FORMAT=json, or auto")
    return passed("logs are JSON")


@check(bp, "slow-clients", production=True)
def slow_clients() -> Finding:
    """Gunicorn's threads read a request for as long as its sender takes, even if it is unsigned.

    This can tell that there is a proxy, but not whether it buffers.
    """
    if not current_app.config.get("TRUSTED_PROXIES"):
        return warning(
            "the app is not behind a proxy (TRUSTED_PROXIES is 0): clients that never finish a "
            "request can occupy all of its threads",
            fix="put a proxy in front that buffers requests, such as nginx or Caddy with a read "
            "timeout, and set TRUSTED_PROXIES",
        )
    return passed("the app is behind a proxy; make sure that it buffers requests")


def _is_known(name: str) -> bool:
    """Tell whether a secret, or one of a comma-separated list, is a development value."""
    given = str(current_app.config.get(name) or "")
    known = current_app.config.get("PUBLISHED_SECRETS", {}).get(name)
    return known is not None and known in (given, *map(str.strip, given.split(",")))


def _workers() -> int:
    """Return what gunicorn.conf.py takes from this environment."""
    return int(current_app.config.get("WEB_CONCURRENCY", 1))


def _threads() -> int:
    return int(current_app.config.get("GUNICORN_THREADS", 8))


def _pool() -> int:
    pool = db.engine.pool
    return pool.size() + max(0, pool._max_overflow) if isinstance(pool, QueuePool) else 1000  # noqa: SLF001 - it has no public name
