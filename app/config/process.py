"""Variables of other programs that the app has to know: gunicorn's, and those of two SDKs.

They are not settings of the app, so `.env` has none of them: those programs read them directly.
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
    """Return the folder of the workers' metrics; gunicorn may set it after the app is created."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return None if folder is None else Path(folder)


def untraced_urls(default: str) -> str:
    """Return the requests that OpenTelemetry does not trace."""
    return os.environ.get("OTEL_PYTHON_FLASK_EXCLUDED_URLS", default)


def has_service_name() -> bool:
    """Tell whether the environment gives OpenTelemetry the service's name."""
    resource = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return "OTEL_SERVICE_NAME" in os.environ or "service.name" in resource
