"""gunicorn's settings, from the environment where they differ between machines.

HOST and PORT say where to listen, WEB_CONCURRENCY how many processes to run, GUNICORN_THREADS
how many threads each has, GUNICORN_GRACEFUL_TIMEOUT how many seconds running jobs get at a stop.
https://docs.gunicorn.org/en/stable/settings.html describes every setting.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app.serving import worker_metrics

_production = os.environ.get("APP_ENV") == "production"

wsgi_app = "wsgi:app"
bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"

# A delivery waits for the database and for other services more than it computes.
worker_class = "app.serving.access_log.Worker"  # gthread
workers = int(os.environ.get("WEB_CONCURRENCY", "2" if _production else "1"))
threads = int(os.environ.get("GUNICORN_THREADS", "8"))

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


#: Tells prometheus-client that several processes count, and in which folder.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def when_ready(_server: Any) -> None:
    """Have the workers count into files of one folder, so that each can report the sum.

    Not before the address is bound: a gunicorn that cannot bind leaves nothing behind.
    """
    if _METRICS not in os.environ:
        worker_metrics.remove_orphans(Path(worker_tmp_dir or tempfile.gettempdir()))
        # Named by this process, whose end is the folder's.
        os.environ[_METRICS] = tempfile.mkdtemp("", f"metrics-{os.getpid()}-", worker_tmp_dir)
    folder = Path(os.environ[_METRICS])
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()


def on_exit(server: Any) -> None:
    """Remove the folder, unless a new gunicorn took it over with the environment (SIGUSR2)."""
    folder = Path(os.environ.get(_METRICS, ""))
    if folder.name.startswith(f"metrics-{os.getpid()}-") and not server.reexec_pid:
        shutil.rmtree(folder, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """Keep a worker's counters, and drop its gauges."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - slow, and rarely needed

    try:
        multiprocess.mark_process_dead(worker.pid)
        worker_metrics.absorb_the_dead(Path(os.environ[_METRICS]))
    except Exception:  # what is raised here would stop gunicorn, and counts are not worth that
        server.log.exception("The counts of worker %s stay in its own files", worker.pid)


def post_worker_init(worker: Any) -> None:
    """Let running jobs finish or go back to the queue when this worker has to stop."""
    config = getattr(worker.wsgi, "config", {})
    if "JOBS_GRACE" in config:
        from app.jobs.kit import at_sigterm  # noqa: PLC0415 - only where there are jobs

        at_sigterm(config["JOBS_GRACE"])


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
