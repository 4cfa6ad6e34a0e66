"""The settings of security: rate limits, and the addresses that callbacks may reach."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from environs import Env

from app.config.checks import is_rate
from app.config.jobs import UNSEALED

#: URLs that the app's own keys are sent to.
TRUSTED = ("QSTASH_URL", "RESEND_API_URL", "STRIPE_API_URL")
AT_HOME = ("localhost", "127.0.0.1", "::1")
#: Maximum clock difference in seconds; a signature is valid for five minutes.
MAX_LEEWAY = 300


def read(env: Env) -> dict[str, Any]:
    return {
        "API_RATE_LIMIT": env.str("API_RATE_LIMIT", "600/minute", validate=is_rate),
        "API_FAILURE_LIMIT": env.str("API_FAILURE_LIMIT", "30/minute", validate=is_rate),
    }


def unsafe(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what production refuses."""
    problems = {}
    for name in TRUSTED:
        parts = urlsplit(settings[name] or "")
        if parts.scheme == "http" and parts.hostname not in AT_HOME:
            problems[name] = ["must start with https://: requests to it carry a secret key."]
    if (settings["JOBS_SIGNATURE_LEEWAY"] or 0) > MAX_LEEWAY:
        problems["JOBS_SIGNATURE_LEEWAY"] = [
            f"must be at most {MAX_LEEWAY}, or signatures would stay valid."
        ]
    if any(map(_is_wildcard, (settings["JOBS_CALLBACK_ALLOW"] or "").split(","))):
        problems["JOBS_CALLBACK_ALLOW"] = ["allows every address; list only the ones you need."]
    if settings["JOBS_SEAL"] == "false":
        said = f"would store links and tokens in plain text; if you want that, set {UNSEALED}."
        problems["JOBS_SEAL"] = [said]
    if settings["JOBS_DASHBOARD"] == "local":
        problems["JOBS_DASHBOARD"] = [
            "is open to whoever reaches it from this machine, such as a proxy; set auto or off."
        ]
    return problems


def published(settings: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what development refuses: public secrets where strangers can reach the app.

    An app behind a tunnel, or deployed without APP_ENV, would run anyone's jobs.
    """
    host = urlsplit(settings["BASE_URL"] or "").hostname or ""
    if not host or is_loopback(host):
        return {}
    said = (
        f"is the development value, which is public, and others may reach BASE_URL's host {host}: "
        "set your own."
    )
    return {
        name: [said]
        for name, value in known.items()
        if value in {settings[name], *map(str.strip, (settings[name] or "").split(","))}
    }


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this machine, so that no one else can use it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_wildcard(entry: str) -> bool:
    try:
        return ip_network(entry.strip()).prefixlen == 0
    except ValueError:
        return False
