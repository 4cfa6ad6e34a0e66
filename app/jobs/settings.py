"""The extension's settings: from the app's config, or else from the environment, all checked."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from math import inf
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Flask

from . import durations
from .errors import InvalidOption, JobsNotInitialised, quoted
from .values import cron
from .values.ids import ID_TYPES
from .values.nearest import hint
from .values.retention import check_retention
from .values.urls import ascii_url

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_WHOLE = re.compile(r"[0-9]{1,18}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
#: What somebody may be at the dashboard, each of which may do what those before it may.
ROLES = ("viewer", "operator", "admin")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{0,40}")

# How names begin that may be meant for one of ours. (QSTASH_DEV_… is the local server's.)
_LIKE_OURS = re.compile(r"(JOBS?|QSTASH(?!_DEV)|ADMIN)_")
# Groups in which each name is ours, however it goes on.
_GROUPS = tuple(
    f"JOBS_{group}_"
    for group in ("DASHBOARD", "HEALTH", "METRICS", "PLAN", "PUBLISH", "RETENTION", "SWEEP")
)
# The share of its characters that a misspelled name has in common with the right one, at least.
_ALIKE = 0.86

# Spaces, backslashes and invisible characters: programs disagree on their meaning in a URL.
_ODD = re.compile(r"[\s\\<>\"\x00-\x1f\x7f]")


def init_app(app: Flask) -> None:
    """Complete the app's config, with each setting of its kind, durations in seconds.

    Raises:
        JobsNotInitialised: A setting is missing or wrong.
    """
    for key, (default, _) in _SETTINGS.items():
        given = app.config.get(key)
        if given is None:
            given = os.environ.get(key) or default
        app.config[key] = given if given is None else _checked(key, given)
    missing = [key for key in REQUIRED if not app.config[key]]
    if missing:
        raise JobsNotInitialised(
            f"set {', '.join(missing)}, in app.config or in the environment: without them no "
            "delivery is safe; `flask jobs init` writes what is needed to begin to .env, which "
            "`flask` reads, but pytest and gunicorn do not"
        )
    if wrong := misspelled(app):
        app.logger.warning("[jobs] %s", "; ".join(wrong))


def _checked(key: str, given: Any) -> Any:
    try:
        return check(key, given)
    except ValueError as error:
        value = "its value" if key in _SECRETS else quoted(given)
        raise JobsNotInitialised(f"{key}: {value} {error}") from None


def check(key: str, given: Any) -> Any:
    """Return a setting's value, from what the app's config or the environment has.

    Raises:
        ValueError: It is none; the message is to follow the value.
    """
    return _SETTINGS[key][1](given)


def misspelled(app: Flask) -> list[str]:
    """Return a sentence for each name that seems meant for a setting, and is none.

    The names are those in the app's config and in the environment, where the host and other
    programs have theirs. So one counts only if it is nearly that of a setting, or in a group whose
    names are all ours.
    """
    names = {str(name) for name in (*app.config, *os.environ)} - _SETTINGS.keys()
    meant = {name: _meant(name) for name in sorted(filter(_LIKE_OURS.match, names))}
    return [f"{name} is no setting: {hint(name, known)}" for name, known in meant.items() if known]


def _meant(name: str) -> list[str]:
    group = next((one for one in _GROUPS if name.startswith(one)), None)
    if near := get_close_matches(name, _SETTINGS, n=2, cutoff=_ALIKE):
        return near
    return [key for key in _SETTINGS if group and key.startswith(group.rstrip("_"))]


def _duration(given: Any) -> float:
    found = durations.parse_written(given) if isinstance(given, str) else durations.parse(given)
    if timedelta.max.total_seconds() < found:
        raise ValueError("is longer than any time; give less")
    return found


def _some_time(given: Any) -> float:
    found = _duration(given)
    if not found:
        raise ValueError("is no time at all; give more than 0 seconds")
    return found


def _from(least: int) -> Callable[[Any], int]:
    def count(given: Any) -> int:
        is_whole = isinstance(given, str | int) and _WHOLE.fullmatch(str(given))
        if not is_whole or int(given) < least:
            raise ValueError(f"is not a whole number of {least} or more")
        return int(given)

    return count


def _share(given: Any) -> float:
    try:
        share = -1.0 if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("is not a share from 0 to 1; write 5 percent as 0.05")
    return share


def _price(given: Any) -> float:
    try:
        price = -1.0 if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        price = -1.0
    if not 0 <= price < inf:
        raise ValueError("is not a price; write a number of 0 or more, without a currency")
    return price


def _flag(given: Any) -> bool:
    said = str(given).lower() if isinstance(given, str | bool | int) else ""
    if said not in _TRUE | _FALSE:
        raise ValueError("is neither true nor false")
    return said in _TRUE


def _seal(given: Any) -> str:
    return "true" if _flag(given) else "false"


def _one_of(*choices: str) -> Callable[[Any], str]:
    def choice(given: Any) -> str:
        if given not in choices:
            raise ValueError(f"is none of: {', '.join(choices)}")
        return str(given)

    return choice


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("is not a text")  # noqa: TRY004 - as all here
    return given


def _names(given: Any) -> str:
    """Take several with commas between, or as a list."""
    return ",".join(map(_text, given)) if isinstance(given, list | tuple) else _text(given)


def _namespace(given: Any) -> str:
    if not _NAMESPACE.fullmatch(_text(given)):
        raise ValueError("is not at most 40 letters, digits, '-' and '_'")
    return str(given)


def _prefix(given: Any) -> str:
    path = _text(given)
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError("is not a path like /admin/jobs, without a slash at the end")
    return path


def _zone(given: Any) -> str:
    try:
        return ZoneInfo(_text(given)).key
    except (KeyError, OSError, ValueError):  # unknown, a folder of the zone database, malformed
        raise ValueError("is no time zone like Europe/Berlin") from None


def _cron(given: Any) -> str:
    try:
        return cron.checked(_text(given), None)
    except InvalidOption as error:
        raise ValueError(f"does not say when: {error}") from None


def _url(given: Any) -> str:
    """Refuse an address that QStash would sign in a different form than the app compares."""
    url = _text(given).rstrip("/")
    if not url.isascii():
        try:
            fix = f"write it {ascii_url(url)}"
        except ValueError:
            fix = "its host is not a name that can be looked up"
        raise ValueError(f"must be ASCII: {fix}")
    if url and not _is_address(url):
        raise ValueError("is not a URL like https://app.example.com")
    return url


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    extra = parts.query or parts.fragment or url.endswith(("?", "#"))
    return bool(good) and not extra and not _ODD.search(url)


def _networks(given: Any) -> str:
    names = _names(given)
    for one in filter(None, map(str.strip, names.split(","))):
        try:
            ip_network(one)
        except ValueError:
            raise ValueError(
                f"has {quoted(one)}, which is neither an address nor a network like 10.0.0.0/8"
            ) from None
    return names


def _header(given: Any) -> str:
    if not _HEADER.fullmatch(_text(given)):
        raise ValueError("is not the name of a header, such as X-Forwarded-User")
    return str(given)


def _roles(given: Any) -> str:
    """Take `name=role`, with commas between, or a mapping."""
    names = ",".join(map("=".join, given.items())) if isinstance(given, dict) else _text(given)
    for one in filter(None, map(str.strip, names.split(","))):
        name, _, role = one.rpartition("=")
        if not name.strip() or role.strip() not in ROLES:
            raise ValueError(
                f"has {quoted(one)}, which is not NAME=ROLE with one of the roles"
                f" {', '.join(ROLES)}"
            )
    return names


#: The default and the check of each; what has no default must be given.
_SETTINGS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "BASE_URL": (None, _url),
    "QSTASH_TOKEN": (None, _text),
    "QSTASH_CURRENT_SIGNING_KEY": (None, _text),
    "QSTASH_NEXT_SIGNING_KEY": (None, _text),
    "QSTASH_URL": ("https://qstash.upstash.io", _url),
    "JOBS_PUBLISH": ("inline", _one_of("inline", "background")),
    "JOBS_PUBLISH_TIMEOUT": (5.0, _some_time),
    "JOBS_NAMESPACE": ("", _namespace),
    "JOBS_GRACE": (20.0, _some_time),
    "JOBS_MAX_BODY": (1024 * 1024, _from(1)),
    "JOBS_MAX_RESCHEDULES": (100, _from(0)),
    "JOBS_MAX_LEGS": (1000, _from(1)),
    "JOBS_SIGNATURE_LEEWAY": (5.0, _duration),
    "JOBS_SWEEP_EVERY": (60.0, _duration),
    "JOBS_SWEEP_CRON": ("23 * * * *", _cron),
    "JOBS_ENCRYPTION_KEYS": ("", _names),
    "JOBS_ID_TYPE": ("integer", _one_of(*ID_TYPES)),
    "JOBS_BIND_KEY": ("", _text),
    "JOBS_SCHEMA": ("", _text),
    "JOBS_QUIET": (True, _flag),
    "JOBS_KEEP_LOGS": (True, _flag),
    "JOBS_RETENTION": ("", check_retention),
    "JOBS_SEAL": ("true", _seal),
    "JOBS_UNSEALED": ("", _names),
    "JOBS_CALLBACK_ALLOW": ("", _names),
    "JOBS_HEALTH_FAILURE_RATE": (0.05, _share),
    "JOBS_HEALTH_UNHEALTHY_RATE": (0.5, _share),
    "JOBS_HEALTH_PROCESSING": (600.0, _some_time),
    "JOBS_HEALTH_OVERDUE": (600.0, _some_time),
    "JOBS_HEALTH_IDLE": (3600.0, _some_time),
    "JOBS_PLAN_MESSAGES_PER_DAY": (0, _from(0)),
    "JOBS_PLAN_PRICE": (0.0, _price),
    "JOBS_METRICS_TOKEN": ("", _text),
    "JOBS_METRICS_OPEN": (False, _flag),
    "JOBS_LOG_FIELDS": (True, _flag),
    "JOBS_DASHBOARD": ("auto", _one_of("auto", "local", "off")),
    "JOBS_DASHBOARD_PREFIX": ("/admin/jobs", _prefix),
    "JOBS_DASHBOARD_NAME": ("", _text),
    "JOBS_DASHBOARD_TIMEZONE": ("UTC", _zone),
    "JOBS_DASHBOARD_COLOUR": (
        "grey",
        _one_of("grey", "green", "blue", "violet", "amber", "red"),
    ),
    "ADMIN_SIGN_IN": ("off", _one_of("off", "password")),
    "ADMIN_SESSION_IDLE": (3600.0, _some_time),
    "ADMIN_SESSION_MAX": (43200.0, _some_time),
    "ADMIN_PROXY": ("", _networks),
    "ADMIN_PROXY_USER": ("X-Forwarded-User", _header),
    "ADMIN_PROXY_GROUPS": ("", lambda given: given and _header(given)),
    "ADMIN_PROXY_ROLES": ("", _roles),
}
DEFAULTS = {key: default for key, (default, _) in _SETTINGS.items() if default is not None}
REQUIRED = tuple(key for key in _SETTINGS if key not in DEFAULTS)
#: Whose values no message shows.
_SECRETS = {*REQUIRED[1:], "JOBS_ENCRYPTION_KEYS", "JOBS_METRICS_TOKEN"}
