"""gunicorn's variables, which the app has to know: gunicorn.conf.py reads them directly."""

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
