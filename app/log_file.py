"""A log file for each day, into which any number of processes may write.

`logs/application.log` becomes `logs/application-2026-11-28.log`. The day is in the name, so nothing
is ever renamed under a process that writes: each goes on to the next file by itself. A line is one
write to a file opened for appending, so that no two lines mix.
"""

import logging
import os
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path


class DailyFile(logging.Handler):
    """Writes each line into today's file, and removes files that are too old.

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
            today = date.today()  # noqa: DTZ011 - likewise
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
                with suppress(OSError):  # another process was quicker, or it is not ours
                    one.unlink()

    def _path(self, day: date) -> Path:
        return self._file.with_name(self._path_like(day.isoformat()))

    def _path_like(self, day: str) -> str:
        return f"{self._file.stem}-{day}{self._file.suffix}"
