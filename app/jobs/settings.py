"""The extension's settings: from the app's config, or else from the environment."""

import os
from typing import Any

from flask import Flask

from .errors import InvalidOption, JobsNotInitialised
from .values import cron
from .values.ids import ID_TYPES
from .values.urls import ascii_url

REQUIRED = (
    "BASE_URL",
    "QSTASH_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
)
DEFAULTS: dict[str, Any] = {
    "QSTASH_URL": "https://qstash.upstash.io",
    "JOBS_PUBLISH": "inline",
    "JOBS_PUBLISH_TIMEOUT": 5.0,
    "JOBS_NAMESPACE": "",
    "JOBS_GRACE": 20.0,
    "JOBS_MAX_BODY": 1024 * 1024,
    "JOBS_MAX_RESCHEDULES": 100,
    "JOBS_MAX_LEGS": 1000,
    "JOBS_SIGNATURE_LEEWAY": 5.0,
    "JOBS_SWEEP_EVERY": 60.0,
    "JOBS_SWEEP_CRON": "23 * * * *",
    "JOBS_ENCRYPTION_KEYS": "",
    "JOBS_ID_TYPE": "integer",
    "JOBS_BIND_KEY": "",
    "JOBS_SCHEMA": "",
    "JOBS_QUIET": True,
    "JOBS_SEAL": "true",
    "JOBS_UNSEALED": "",
    "JOBS_CALLBACK_ALLOW": "",
    "JOBS_HEALTH_FAILURE_RATE": 0.05,
    "JOBS_HEALTH_UNHEALTHY_RATE": 0.5,
    "JOBS_HEALTH_PROCESSING": 600.0,
    "JOBS_HEALTH_OVERDUE": 600.0,
    "JOBS_HEALTH_IDLE": 3600.0,
}
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


def init_app(app: Flask) -> None:
    """Complete the app's config.

    Raises:
        JobsNotInitialised: A setting is missing or wrong.
    """
    for key, default in {**dict.fromkeys(REQUIRED), **DEFAULTS}.items():
        if app.config.get(key) is None:
            app.config[key] = _from_environment(key, default)
    missing = [key for key in REQUIRED if not app.config[key]]
    if missing:
        raise JobsNotInitialised(
            f"set {', '.join(missing)}, in app.config or in the environment: without them no "
            "delivery is safe; `flask jobs init` writes what is needed to begin to .env, which "
            "`flask` reads, but pytest and gunicorn do not"
        )
    if app.config["JOBS_ID_TYPE"] not in ID_TYPES:
        raise JobsNotInitialised(f"JOBS_ID_TYPE must be one of: {', '.join(ID_TYPES)}")
    _check_cron(app.config["JOBS_SWEEP_CRON"])
    app.config["BASE_URL"] = app.config["BASE_URL"].rstrip("/")
    _refuse_other_letters(app.config)


def _from_environment(key: str, default: Any) -> Any:
    """Return a variable as a value of the default's kind."""
    text = os.environ.get(key)
    if not text:
        return default
    if isinstance(default, bool):
        if text.lower() not in _TRUE | _FALSE:
            raise JobsNotInitialised(f"{key} is {text!r}: set it to true or false")
        return text.lower() in _TRUE
    try:
        return type(default)(text) if isinstance(default, int | float) else text
    except ValueError:
        raise JobsNotInitialised(f"{key} is {text!r}, which is not a number") from None


def _check_cron(value: Any) -> None:
    try:
        cron.checked(str(value), None)
    except InvalidOption as error:
        raise JobsNotInitialised(f"JOBS_SWEEP_CRON is no cron expression: {error}") from None


def _refuse_other_letters(config: dict[str, Any]) -> None:
    """Refuse an address that QStash would sign in a different form than the app compares."""
    for name in ("BASE_URL", "QSTASH_URL"):
        if not config[name].isascii():
            try:
                fix = f"write it {ascii_url(config[name])}"
            except ValueError:
                fix = "its host is not a name that can be looked up"
            raise JobsNotInitialised(f"{name} must be ASCII: {fix}")
