"""gunicorn's settings, from the environment where they differ between machines.

HOST and PORT say where to listen, WEB_CONCURRENCY how many processes to run, GUNICORN_THREADS
how many threads each has, GUNICORN_GRACEFUL_TIMEOUT how many seconds running jobs get at a stop.
https://docs.gunicorn.org/en/stable/settings.html describes every setting.
"""

import os
from pathlib import Path
from typing import Any

# What happens at the start and end of gunicorn and its workers.
from app.gunicorn_hooks import (  # noqa: F401
    child_exit,
    on_exit,
    post_fork,
    post_worker_init,
    when_ready,
)

_environment = os.environ.get("APP_ENV", "development")
_production = _environment == "production"

wsgi_app = "wsgi:app"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"

# A delivery waits for the database and for other services more than it computes. A process whose
# threads have all to do costs the least CPU per delivery: with 1, 2 or 4 it goes to sleep at each
# wait and finds the processor's caches full of others' data when it is back, which cost more (some
# 1.5, 1.3 and 1.2 times as much for jobs that do nothing) than 8 threads that take turns at the
# interpreter. 16 were no better. Jobs that wait long need more; processes, as many as processors.
worker_class = "app.serving.access_log.Worker"  # gthread
workers = int(os.environ.get("WEB_CONCURRENCY", "2" if _production else "1"))
threads = int(os.environ.get("GUNICORN_THREADS", "8"))

# The app is loaded once, and the workers, forked from there, share its memory, which
# benchmarks/memory.py measures. In return, SIGHUP loads no new code; development needs that.
preload_app = _environment != "development"

# With gthread this is how long a worker may give no sign of life, not how long a request takes:
# each job has its own time limit.
timeout = 60
# A stop lets running jobs finish for this long; QStash delivers interrupted ones again.
graceful_timeout = int(os.environ.get("GUNICORN_GRACEFUL_TIMEOUT", "30"))
keepalive = 75

# The sign of life is a file; on a disk that blocks, a healthy worker would look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - as just said

# The app's addresses come from BASE_URL, never from a request's own headers.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

# Two gunicorns on one account would take the default control socket from each other.
control_socket_disable = True

errorlog = "-"
accesslog = "-" if _production else None
# The path without its query, which may hold the token of a download link.
access_log_format = "%(m)s %(U)s %(s)s"


def _logger(*filters: str) -> dict[str, Any]:
    return {"level": "INFO", "handlers": ["json"], "filters": filters, "propagate": False}


if _production:
    logconfig_dict = {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": "WARNING", "handlers": []},  # the app's own logging adds its handler
        "loggers": {
            "gunicorn.error": _logger("short_lines"),
            "gunicorn.access": _logger("access_fields"),
        },
        "filters": {
            "access_fields": {"()": "app.serving.access_log.AccessFields"},
            "short_lines": {"()": "app.serving.access_log.ShortLines"},
        },
        "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json"}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            }
        },
    }
