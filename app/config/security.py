"""The settings of what strangers may do: how often they may ask, where they may have us call."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from environs import Env

from app.config.checks import is_rate
from app.config.jobs import UNSEALED

#: Where the app's own keys travel to.
TRUSTED = ("QSTASH_URL", "RESEND_API_URL", "STRIPE_API_URL")
AT_HOME = ("localhost", "127.0.0.1", "::1")
#: Seconds by which clocks may differ; a signature is good for five minutes.
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
    return problems


def published(settings: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what development refuses: published secrets where strangers reach the app.

    Who tries it behind a tunnel, or deploys it and forgets APP_ENV, would run everybody's jobs.
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
    """Tell whether a host is this machine, which nobody else reaches by that name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_wildcard(entry: str) -> bool:
    try:
        return ip_network(entry.strip()).prefixlen == 0
    except ValueError:
        return False
