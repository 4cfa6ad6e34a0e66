"""Log lines: JSON in production, readable in development, with the ids of what is under way."""

import logging
import sys
from pathlib import Path
from typing import Any, TextIO

from flask import Flask
from pythonjsonlogger.json import JsonFormatter

from app.config import ConfigError
from app.jobs.context import current_job
from app.jobs.deadline import raise_if_due
from app.jobs.request_id import request_id_if_any
from app.log_file import DailyFile

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def init_app(app: Flask) -> None:
    as_json = app.config["LOG_FORMAT"] == "json" or (
        app.config["LOG_FORMAT"] == "auto" and app.config["APP_ENV"] == "production"
    )
    handlers = [handler(sys.stderr, as_json=as_json)]
    if app.config["LOG_FILE"]:
        handlers.append(_formatted(_file(app), as_json=as_json))
    logging.basicConfig(level=app.config["LOG_LEVEL"], handlers=handlers, force=True)
    # The first two log every request, headers and all at DEBUG; the last lists its own parts.
    for noisy in ("httpx", "httpcore", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def handler(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Return a handler that writes lines with the ids of what is under way."""
    return _formatted(logging.StreamHandler(stream), as_json=as_json)


def _file(app: Flask) -> logging.Handler:
    """Open the log file, whose path may be relative to the folder of the app."""
    file = Path(app.root_path).parent / app.config["LOG_FILE"]
    try:
        return DailyFile(file, days=app.config["LOG_FILE_DAYS"])
    except OSError as error:
        raise ConfigError({"LOG_FILE": [f"{file} cannot be written: {error.strerror}."]}) from error


def _formatted(made: logging.Handler, *, as_json: bool) -> logging.Handler:
    made.addFilter(_bind)
    made.setFormatter(_json_formatter() if as_json else TextFormatter())
    return made


def _json_formatter() -> logging.Formatter:
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )


class TextFormatter(logging.Formatter):
    """`12:00:00 INFO  [jobs] Processing job  jobId=… type=… attempt=1`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = " ".join(f"{key}={_shown(value)}" for key, value in _extra(record).items())
        return super().formatMessage(record) + (f"  {fields}" if fields else "")


def _bind(record: logging.LogRecord) -> bool:
    """Give every line the request's id and, inside a handler, its job's.

    It is also where a handler that logs hears that its time is up, as no lock is held here.
    """
    raise_if_due()
    request_id = request_id_if_any()
    if request_id is not None:
        record.requestId = request_id
    job = current_job.get()
    if job is not None:
        ids = {"jobId": job.id, "type": job.type, "attempt": job.attempt}
        owner = {"userId": job.user_id, "organizationId": job.organization_id}
        known = {key: value for key, value in owner.items() if value is not None}
        for key, value in (ids | known).items():
            record.__dict__.setdefault(key, value)
    return True


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if " " in text or "\n" in text else text
