"""The settings: read only in this package, and all validated before anything starts.

They come from the environment and, outside production, from `.env`. Development needs none: a
running `make dev` writes its addresses to `instance/dev.json`, and everything else has a default
below. `.env.example` describes each setting.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
from environs import Env, EnvValidationError
from marshmallow.validate import Length, OneOf, Range

from app.config import jobs, operations, process, running, security
from app.config.checks import (
    ABOVE_ZERO,
    AT_LEAST_ZERO,
    ONE_OF,
    are_keys,
    is_address,
    is_address_or_empty,
    is_database,
    is_rate,
    is_storage,
    is_store,
    is_url,
    is_url_or_empty,
)
from app.jobs.kit import DEFAULTS

ENVIRONMENTS = ("development", "test", "production")

# The credentials that the official development server publishes, so that it and ours can stand in
# for each other (https://upstash.com/docs/qstash/howto/local-development). Not for production.
DEV_QSTASH = {
    "QSTASH_URL": "http://127.0.0.1:8080",
    "QSTASH_TOKEN": "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    "QSTASH_NEXT_SIGNING_KEY": "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
}
# Secrets that the local senders sign with: `flask webhooks send`, `flask stripe trigger`.
DEV_WEBHOOKS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_development_only_and_no_secret",
    "WEBHOOK_GITHUB_SECRET": "development only and no secret",
    "WEBHOOK_RESEND_SECRET": "whsec_ZGV2ZWxvcG1lbnQgb25seSwgYW5kIG5vIHNlY3JldCE=",
}
DEVELOPMENT = {
    **DEV_QSTASH,
    **DEV_WEBHOOKS,
    "BASE_URL": "http://127.0.0.1:8000",
    "DATABASE_URL": "",
    "SECRET_KEY": "development only, and not a secret",
    "RESEND_API_KEY": "",
    "RESEND_FROM_EMAIL": "Acme <onboarding@resend.dev>",
    "JOBS_ENCRYPTION_KEYS": "ZGV2ZWxvcG1lbnQgb25seSwgYW5kIG5vIHNlY3JldCE=",
}
#: By their settings: values in this file are public.
PUBLISHED_SECRETS = {
    name: DEVELOPMENT[name] for name in ("SECRET_KEY", "JOBS_ENCRYPTION_KEYS", *DEV_WEBHOOKS)
}
#: Public keys of this file that sign deliveries, links and webhooks, or open sealed fields.
PUBLISHED = {
    **PUBLISHED_SECRETS,
    **{name: DEVELOPMENT[name] for name in DEVELOPMENT if name.endswith("_SIGNING_KEY")},
}
PRODUCTION = {"QSTASH_URL": DEFAULTS["QSTASH_URL"]}
MIN_SECRET = 32
FAMILIES = Path(__file__).parent.parent / "families"

_SOURCE_SECRET = re.compile(r"WEBHOOK_[A-Z0-9_]+_SECRET")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS = ("auto", "json", "text")
_NOT_EMPTY = Length(min=1, error="is empty.")


class ConfigError(click.ClickException):
    """Settings are missing or invalid; the message names each one and its fix."""

    exit_code = 2

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        self.problems = dict(problems)
        lines = [f"\n  {name}: {' '.join(said)}" for name, said in sorted(problems.items())]
        super().__init__(f"not started: settings are missing or invalid:{''.join(lines)}")


def load(instance: Path) -> dict[str, Any]:
    """Read every setting.

    Args:
        instance: Where a running copy keeps what it writes.

    Raises:
        ConfigError: Lists every problem at once; never a secret's value.
    """
    env = Env(eager=False)
    name = env.str("APP_ENV", "development", validate=OneOf(ENVIRONMENTS, error=ONE_OF))
    if name != "production":
        env.read_env(str(instance.parent / ".env"), recurse=False)
    defaults: dict[str, Any] = dict(PRODUCTION)
    if name != "production":
        defaults = {**DEVELOPMENT, **running.settings(instance)}
    settings = {
        "APP_ENV": name,
        "PUBLISHED_SECRETS": PUBLISHED_SECRETS,
        # Not for users: `make dev` identifies itself to the processes that it starts.
        "DEV_INSTANCE": "" if name == "production" else os.environ.get("DEV_INSTANCE", ""),
        **_app(env, defaults),
        **_services(env, defaults),
        **_webhooks(env, defaults),
        **jobs.read(env, _jobs_defaults(name)),
        **_artifacts(env),
        **process.gunicorn(env, name),
        **operations.read(env),
        **security.read(env),
    }
    problems = {**operations.contradictions(settings), **_problems(env)}
    if name == "development":
        problems = {**security.published(settings, PUBLISHED), **problems}
    if name == "production":
        unsafe = {**operations.unsafe(settings), **security.unsafe(settings)}
        problems = {**_unsafe(settings), **unsafe, **problems}
    if problems:
        raise ConfigError(problems)
    if settings["JOBS_SEAL"] == jobs.UNSEALED:
        settings["JOBS_SEAL"] = "false"
    return settings


def _jobs_defaults(environment: str) -> dict[str, Any]:
    """Return the defaults that differ from the extension's."""
    if environment == "production":
        return {}
    at_home = {"JOBS_CALLBACK_ALLOW": "localhost,127.0.0.0/8,::1"}
    in_development = {
        "JOBS_SWEEP_EVERY": 10.0,
        "JOBS_METRICS_OPEN": True,
        "JOBS_DASHBOARD": "local",
    }
    return at_home | (in_development if environment == "development" else {})


def _app(env: Env, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "SECRET_KEY": _given(env, "SECRET_KEY", defaults),
        "JOBS_ENCRYPTION_KEYS": _given(env, "JOBS_ENCRYPTION_KEYS", defaults, are_keys),
        "BASE_URL": _given(env, "BASE_URL", defaults, is_url).rstrip("/"),
        "SQLALCHEMY_DATABASE_URI": _database(env, defaults),
        "DATABASE_POOL_SIZE": env.int("DATABASE_POOL_SIZE", 16, validate=Range(min=1)),
        "DATABASE_PREPARED_STATEMENTS": env.bool("DATABASE_PREPARED_STATEMENTS", True),
        "APP_NAME": env.str("APP_NAME", "Acme"),
        "ACTIVITY_RETENTION_DAYS": env.int("ACTIVITY_RETENTION_DAYS", 365, validate=Range(min=1)),
        "SUPPORT_EMAIL": env.str("SUPPORT_EMAIL", "", validate=is_address_or_empty),
        "TRUSTED_PROXIES": env.int("TRUSTED_PROXIES", 0, validate=AT_LEAST_ZERO),
        "RATELIMIT_STORAGE_URI": env.str("RATELIMIT_STORAGE_URI", "memory://", validate=is_storage),
        "LOG_LEVEL": env.str("LOG_LEVEL", "", validate=OneOf(("", *_LEVELS), error=ONE_OF)),
        "LOG_FILE": env.str("LOG_FILE", ""),
        "LOG_FILE_DAYS": env.int("LOG_FILE_DAYS", 14, validate=Range(min=1)),
        "LOG_FORMAT": env.str("LOG_FORMAT", "auto", validate=OneOf(_FORMATS, error=ONE_OF)),
    }


def _services(env: Env, defaults: dict[str, Any]) -> dict[str, Any]:
    # An app without the email family needs no account for it.
    sends = (FAMILIES / "email" / "__init__.py").exists()
    is_sender = is_address if sends else is_address_or_empty
    without_emails = {} if sends else {"RESEND_API_KEY": "", "RESEND_FROM_EMAIL": ""}
    return {
        "QSTASH_URL": _given(env, "QSTASH_URL", defaults, is_url).rstrip("/"),
        "QSTASH_TOKEN": _given(env, "QSTASH_TOKEN", defaults, _NOT_EMPTY),
        "QSTASH_CURRENT_SIGNING_KEY": _given(
            env, "QSTASH_CURRENT_SIGNING_KEY", defaults, _NOT_EMPTY
        ),
        "QSTASH_NEXT_SIGNING_KEY": _given(env, "QSTASH_NEXT_SIGNING_KEY", defaults, _NOT_EMPTY),
        "RESEND_API_KEY": _given(env, "RESEND_API_KEY", without_emails | defaults),
        "RESEND_API_URL": env.str("RESEND_API_URL", "https://api.resend.com", validate=is_url),
        "RESEND_FROM_EMAIL": _given(env, "RESEND_FROM_EMAIL", without_emails | defaults, is_sender),
        "RESEND_RATE_PER_SECOND": env.int("RESEND_RATE_PER_SECOND", 2, validate=AT_LEAST_ZERO),
        "MAILBOX_DIR": env.str("MAILBOX_DIR", "mailbox"),
        "STRIPE_SECRET_KEY": env.str("STRIPE_SECRET_KEY", ""),
        "STRIPE_API_URL": env.str("STRIPE_API_URL", "https://api.stripe.com", validate=is_url),
    }


def _webhooks(env: Env, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read the secrets of all webhook sources, including those that the app declares."""
    own = {name: env.str(name) for name in os.environ if _SOURCE_SECRET.fullmatch(name)}
    stripe, github, resend = (defaults.get(name, "") for name in DEV_WEBHOOKS)
    return {
        **own,
        "STRIPE_WEBHOOK_SECRET": env.str("STRIPE_WEBHOOK_SECRET", stripe),
        "WEBHOOK_GITHUB_SECRET": env.str("WEBHOOK_GITHUB_SECRET", github),
        "WEBHOOK_RESEND_SECRET": env.str("WEBHOOK_RESEND_SECRET", resend),
        "WEBHOOK_MAX_BODY": env.int("WEBHOOK_MAX_BODY", 512 * 1024, validate=ABOVE_ZERO),
        "WEBHOOK_RATE_LIMIT": env.str("WEBHOOK_RATE_LIMIT", "600/minute", validate=is_rate),
    }


def _artifacts(env: Env) -> dict[str, Any]:
    expires = env.int("ARTIFACTS_LINK_EXPIRES", 24 * 60 * 60, validate=ABOVE_ZERO)
    return {
        "ARTIFACTS_STORE": env.str("ARTIFACTS_STORE", "local", validate=is_store),
        "ARTIFACTS_DIR": env.str("ARTIFACTS_DIR", "artifacts", validate=_NOT_EMPTY),
        "ARTIFACTS_EXPIRE": env.float("ARTIFACTS_EXPIRE", 7.0, validate=ABOVE_ZERO),
        "ARTIFACTS_LINK_EXPIRES": expires,
        "ARTIFACTS_S3_ENDPOINT": env.str("ARTIFACTS_S3_ENDPOINT", "", validate=is_url_or_empty),
        "ARTIFACTS_S3_REGION": env.str("ARTIFACTS_S3_REGION", ""),
        "ARTIFACTS_S3_ACCESS_KEY_ID": env.str("ARTIFACTS_S3_ACCESS_KEY_ID", ""),
        "ARTIFACTS_S3_SECRET_ACCESS_KEY": env.str("ARTIFACTS_S3_SECRET_ACCESS_KEY", ""),
    }


def _problems(env: Env) -> dict[str, list[str]]:
    try:
        env.seal()
    except EnvValidationError as error:
        said = cast("Mapping[str, list[str]]", error.error_messages)
        return {name: list(map(str, messages)) for name, messages in said.items()}
    return {}


def _unsafe(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the problems that only production refuses."""
    problems = {}
    if not (settings["BASE_URL"] or "").startswith("https://"):
        problems["BASE_URL"] = ["must be the public https:// address that QStash delivers to."]
    if len(settings["SECRET_KEY"] or "") < MIN_SECRET:
        problems["SECRET_KEY"] = [f"must have at least {MIN_SECRET} characters."]
    if settings["SECRET_KEY"] == DEVELOPMENT["SECRET_KEY"]:
        problems["SECRET_KEY"] = ["is the development key, which is public; generate your own."]
    for name, published in DEV_QSTASH.items():
        if settings[name] == published:
            problems[name] = ["is the public value of the development server; use your own."]
    for name, published in DEV_WEBHOOKS.items():
        if published in (settings[name] or "").split(","):
            problems[name] = ["contains the development secret, which is public."]
    if DEVELOPMENT["JOBS_ENCRYPTION_KEYS"] in (settings["JOBS_ENCRYPTION_KEYS"] or ""):
        problems["JOBS_ENCRYPTION_KEYS"] = ["contains the development key, which is public."]
    return problems


def _given(
    env: Env, name: str, defaults: Mapping[str, Any], *checks: Callable[[str], object]
) -> str:
    """Read a setting that has a default in development and is required in production."""
    if name in defaults:
        return env.str(name, defaults[name], validate=checks) or ""
    return env.str(name, validate=(_NOT_EMPTY, *checks)) or ""


def _database(env: Env, defaults: Mapping[str, Any]) -> str:
    """Return the URL in SQLAlchemy's form: hosts hand out `postgres://`, which it refuses.

    In development it may be empty: `app.dev` then runs its own PostgreSQL.
    """
    name = "POSTGRES_URL" if "POSTGRES_URL" in os.environ else "DATABASE_URL"
    url = _given(env, name, defaults, is_database)
    return f"postgresql+psycopg://{url.partition('://')[2]}" if url else ""
