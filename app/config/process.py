"""What variables of other programs say of this process: gunicorn's, and those of two SDKs.

No settings of the app, so `.env` has none of them: those programs read them by themselves, and the
app only has to know what they found.
"""

import os
from pathlib import Path
from typing import Any

from environs import Env
from marshmallow.validate import Range


def gunicorn(env: Env, environment: str) -> dict[str, Any]:
    """Return how many processes and threads gunicorn.conf.py takes from this environment."""
    workers = 2 if environment == "production" else 1
    return {
        "WEB_CONCURRENCY": env.int("WEB_CONCURRENCY", workers, validate=Range(min=1)),
        "GUNICORN_THREADS": env.int("GUNICORN_THREADS", 8, validate=Range(min=1)),
    }


def metrics_folder() -> Path | None:
    """Return where gunicorn's workers count, which it says after the app may have been made."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return None if folder is None else Path(folder)


def untraced_urls(default: str) -> str:
    """Return which requests OpenTelemetry leaves out."""
    return os.environ.get("OTEL_PYTHON_FLASK_EXCLUDED_URLS", default)


def has_service_name() -> bool:
    """Tell whether OpenTelemetry is told the service's name."""
    resource = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return "OTEL_SERVICE_NAME" in os.environ or "service.name" in resource
