"""The settings of operations: thresholds of health, alerts, and access to the admin endpoints."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from environs import Env
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range

from app.config.checks import AT_LEAST_ZERO, is_address_or_empty, is_url_or_empty

#: Bytes of a Standard Webhooks key (https://www.standardwebhooks.com).
WEBHOOK_KEY_BYTES = range(24, 65)
MIN_TOKEN = 32

_EXPORTER = OneOf(("", "otlp", "console", "none"), error="{input} is not otlp, console or none.")


def read(env: Env) -> dict[str, Any]:
    otlp = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "", validate=is_url_or_empty)
    return {
        "ADMIN_TOKEN": env.str("ADMIN_TOKEN", ""),
        # OpenTelemetry's SDK reads its own variables; these say whether to load it.
        "OTEL_TRACES_EXPORTER": env.str("OTEL_TRACES_EXPORTER", "", validate=_EXPORTER),
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "ALERT_EMAIL": env.str("ALERT_EMAIL", "", validate=is_address_or_empty),
        "ALERT_SLACK_URL": env.str("ALERT_SLACK_URL", "", validate=is_url_or_empty),
        "ALERT_WEBHOOK_URL": env.str("ALERT_WEBHOOK_URL", "", validate=is_url_or_empty),
        "ALERT_WEBHOOK_SECRET": env.str("ALERT_WEBHOOK_SECRET", "", validate=_is_webhook_secret),
        "ALERT_CONFIRMATIONS": env.int("ALERT_CONFIRMATIONS", 2, validate=Range(min=1)),
        "ALERT_REPEAT_HOURS": env.float("ALERT_REPEAT_HOURS", 4.0, validate=AT_LEAST_ZERO),
    }


def contradictions(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the problems of values that are valid one by one, but not together."""
    problems = {}
    if settings["ALERT_WEBHOOK_URL"] and not settings["ALERT_WEBHOOK_SECRET"]:
        problems["ALERT_WEBHOOK_SECRET"] = [
            "must be set too: it signs the requests to ALERT_WEBHOOK_URL."
        ]
    return problems


def unsafe(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what production refuses."""
    too_short = [f"must have at least {MIN_TOKEN} characters, or be empty."]
    tokens = ("ADMIN_TOKEN", "JOBS_METRICS_TOKEN")
    return {name: too_short for name in tokens if 0 < len(settings[name] or "") < MIN_TOKEN}


def _is_webhook_secret(value: str) -> None:
    if not value:
        return
    try:
        length = len(b64decode(value.removeprefix("whsec_"), validate=True))
    except ValueError:
        length = 0
    if not value.startswith("whsec_") or length not in WEBHOOK_KEY_BYTES:
        raise ValidationError("is not whsec_ followed by 24 to 64 bytes in base64.")
