"""What a production needs beside working: asked with `--production` only."""

from urllib.parse import parse_qs, urlsplit

from flask import current_app

from ..table.db import db
from .checks import Finding, failure, own, passed, warning

MIN_SECRET = 32
#: Fewer different characters than this are hardly random.
MIN_VARIETY = 10
_NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)
_RANDOM = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
ENCRYPTED = {"require", "verify-ca", "verify-full"}


@own("environment", production=True)
def environment() -> Finding:
    name = current_app.config.get("APP_ENV", "production")
    if name != "production":
        return failure(
            f"APP_ENV is {name}", fix="set APP_ENV=production, which refuses what is unsafe"
        )
    return passed("APP_ENV is production")


@own("debug", production=True)
def debug() -> Finding:
    if current_app.debug or current_app.testing:
        return failure(
            "the debugger, or testing, is on", fix="unset FLASK_DEBUG; take TESTING out of the code"
        )
    return passed("the debugger is off")


@own("https", production=True)
def https() -> Finding:
    url = current_app.config["BASE_URL"]
    if not url.startswith("https://"):
        return failure(f"BASE_URL is {url}", fix="set BASE_URL to an https:// address")
    return passed("deliveries travel encrypted")


@own("published-secrets", production=True)
def published_secrets() -> Finding:
    """What the source code has for development, everybody has."""
    known = [name for name in current_app.config.get("PUBLISHED_SECRETS", ()) if _is_known(name)]
    if known:
        return failure(
            f"{', '.join(known)}: development's, which the source code shows to everybody",
            fix="set your own; the documentation of each says how one is made",
        )
    return passed("no secret is one that the source code shows")


def _is_known(name: str) -> bool:
    """Tell whether a secret, or one of several between commas, is development's."""
    given = str(current_app.config.get(name) or "")
    known = current_app.config.get("PUBLISHED_SECRETS", {}).get(name)
    return known is not None and known in (given, *map(str.strip, given.split(",")))


@own("secret-key", production=True)
def secret_key() -> Finding:
    secret = str(current_app.config.get("SECRET_KEY") or "")
    if _is_known("SECRET_KEY"):
        return failure("SECRET_KEY is development's, which everybody knows", fix=_RANDOM)
    if len(secret) < MIN_SECRET or len(set(secret)) < MIN_VARIETY:
        return failure(
            "SECRET_KEY can be guessed",
            fix=_RANDOM,
        )
    return passed("SECRET_KEY is long and varied")


@own("encryption-keys", production=True)
def encryption_keys() -> Finding:
    if _is_known("JOBS_ENCRYPTION_KEYS"):
        return failure(
            "JOBS_ENCRYPTION_KEYS has development's key: what is sealed, everybody can read",
            fix=_NEW_KEY,
        )
    if not current_app.config["JOBS_ENCRYPTION_KEYS"]:
        return warning(
            "JOBS_ENCRYPTION_KEYS is empty: no job type can seal a field",
            fix=_NEW_KEY,
        )
    return passed("there are keys to seal fields with")


@own("rate-limits", production=True)
def rate_limits() -> Finding:
    where = str(current_app.config.get("RATELIMIT_STORAGE_URI", ""))
    if not where or where.startswith("memory:"):
        return warning(
            "rate limits are counted in each process by itself",
            fix="set RATELIMIT_STORAGE_URI=redis://… , so that they hold over all",
        )
    return passed("rate limits are counted in one place")


@own("logs", production=True)
def logs() -> Finding:
    if current_app.config.get("LOG_FORMAT", "auto") == "text":
        return warning("logs are for people to read", fix="set LOG_FORMAT=json, or auto")
    return passed("logs are JSON")


@own("database-encryption", production=True)
def database_encryption() -> Finding:
    url = urlsplit(db.engine.url.render_as_string())
    mode = parse_qs(url.query).get("sslmode", [""])[0]
    is_near = (url.hostname or "localhost") in {"localhost", "127.0.0.1", "::1"}
    if mode not in ENCRYPTED and not is_near:
        return warning(
            "nothing says that the connection to the database is encrypted",
            fix="add ?sslmode=require (or verify-full) to DATABASE_URL, unless the network is "
            "yours",
        )
    return passed("the connection to the database is encrypted, or stays on this machine")


@own("slow-clients", production=True)
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


@own("backups", "database", production=True)
def backups() -> Finding:
    """Nothing here can see a backup; a person can."""
    return warning(
        "the table is the truth about every job, and this command cannot see whether it is backed "
        "up",
        fix="have it backed up, and restore a backup once; `flask jobs reconcile` mends after one",
    )
