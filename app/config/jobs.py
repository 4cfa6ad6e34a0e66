"""The settings of the extension: their defaults and checks are in `app.jobs`."""

from collections.abc import Callable, Mapping
from typing import Any

from environs import Env
from marshmallow import ValidationError
from marshmallow.validate import OneOf

from app.config.checks import ONE_OF, are_destinations
from app.jobs.kit import DEFAULTS, check_setting

#: The value of JOBS_SEAL for a production that does not seal.
UNSEALED = "false-in-production"

#: What the app asks for beside, or instead.
_CHECKS: dict[str, Callable[[Any], object]] = {
    "JOBS_SEAL": OneOf(("true", "false", UNSEALED), error=ONE_OF),
    "JOBS_CALLBACK_ALLOW": are_destinations,
}
#: Read elsewhere in this package, or set by the app itself.
_OTHERS = {
    "QSTASH_URL",
    "JOBS_ENCRYPTION_KEYS",
    "JOBS_BIND_KEY",
    "JOBS_SCHEMA",
    "JOBS_QUIET",
    "JOBS_LOG_FIELDS",
}


def read(env: Env, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read each, durations in seconds."""
    known = {**DEFAULTS, **defaults}
    return {name: _read(env, name, known[name]) for name in DEFAULTS if name not in _OTHERS}


def _read(env: Env, name: str, default: Any) -> Any:
    own = _CHECKS.get(name)
    if own is not None:
        return env.str(name, default, validate=own)

    def check(text: str) -> None:
        try:
            if text:
                check_setting(name, text)
        except ValueError as error:
            raise ValidationError(f"{text} {error}.") from None

    given = env.str(name, "", validate=check)
    return check_setting(name, given) if given else default
