"""Checks for a production deployment; run only with `--production`."""

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


@own("secret-key", production=True)
def secret_key() -> Finding:
    secret = str(current_app.config.get("SECRET_KEY") or "")
    if len(secret) < MIN_SECRET or len(set(secret)) < MIN_VARIETY:
        return failure(
            "SECRET_KEY can be guessed",
            fix=_RANDOM,
        )
    return passed("SECRET_KEY is long and varied")


@own("encryption-keys", production=True)
def encryption_keys() -> Finding:
    if not current_app.config["JOBS_ENCRYPTION_KEYS"]:
        return warning(
            "JOBS_ENCRYPTION_KEYS is empty: no job type can seal a field",
            fix=_NEW_KEY,
        )
    return passed("there are keys to seal fields with")


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


@own("backups", "database", production=True)
def backups() -> Finding:
    """No check can see a backup; a person can."""
    return warning(
        "the table is the truth about every job, and this command cannot see whether it is backed "
        "up",
        fix="have it backed up, and restore a backup once; `flask jobs reconcile` belongs to that",
    )
