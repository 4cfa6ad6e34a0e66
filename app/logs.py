"""Log lines: JSON in production, readable in development, with the ids of request and job."""

import logging
import os
import sys
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

from flask import Flask
from pythonjsonlogger.json import JsonFormatter

from app.config import ConfigError
from app.jobs.kit import current_job, log_fields, raise_if_due, request_id_if_any


def init_app(app: Flask) -> None:
    as_json = app.config["LOG_FORMAT"] == "json" or (
        app.config["LOG_FORMAT"] == "auto" and app.config["APP_ENV"] == "production"
    )
    handlers = [handler(sys.stderr, as_json=as_json)]
    if app.config["LOG_FILE"]:
        handlers.append(_formatted(_file(app), as_json=as_json))
    logging.basicConfig(level=app.config["LOG_LEVEL"] or "INFO", handlers=handlers, force=True)
    app.config["JOBS_LOG_FIELDS"] = False  # these handlers show them
    app.config["JOBS_QUIET"] = not app.config["LOG_LEVEL"]  # of commands: shown on request
    # The first two log every request, headers and all at DEBUG; the last lists its own parts.
    for noisy in ("httpx", "httpcore", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def handler(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Return a handler that writes lines with the ids of request and job."""
    return _formatted(logging.StreamHandler(stream), as_json=as_json)


def _file(app: Flask) -> logging.Handler:
    """Open the log file; its path may be relative to the app's folder."""
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
        fields = log_fields.in_text(log_fields.fields_of(record))
        return super().formatMessage(record) + (f"  {fields}" if fields else "")


def _bind(record: logging.LogRecord) -> bool:
    """Add the request's id to every line and, inside a handler, the job's.

    This is also where a logging handler's timeout is raised, as no lock is held here.
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


class DailyFile(logging.Handler):
    """Writes each line into today's file, and removes files that are too old.

    `logs/application.log` becomes `logs/application-2026-11-28.log`. The day is in the name, so
    nothing is renamed while other processes may be writing: each moves on to the next file by
    itself. A line is one write to a file opened for appending, so lines never mix.

    Args:
        file: The path without a date.
        days: How many days' files are kept, today's included.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, file: Path, *, days: int) -> None:
        super().__init__()
        self._file = file
        self._days = days
        self._day = date.min
        self._number = -1
        self._turn_to(date.today())  # noqa: DTZ011 - the day of the machine, as the lines' times

    def emit(self, record: logging.LogRecord) -> None:
        try:
            today = date.today()  # noqa: DTZ011 - as above
            if today != self._day:
                self._turn_to(today)
            os.write(self._number, f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except Exception:  # noqa: BLE001 - logging's own way with whatever goes wrong in a handler
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1
        super().close()

    def _turn_to(self, today: date) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        path = self._path(today)
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._number >= 0:
            os.close(self._number)
        self._number, self._day = number, today
        oldest = self._path(today - timedelta(days=self._days - 1)).name
        for one in self._file.parent.glob(self._path_like("[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9]")):
            if one.name < oldest:
                with suppress(OSError):  # another process was faster, or it is not ours
                    one.unlink()

    def _path(self, day: date) -> Path:
        return self._file.with_name(self._path_like(day.isoformat()))

    def _path_like(self, day: str) -> str:
        return f"{self._file.stem}-{day}{self._file.suffix}"
