"""Log lines that say in themselves which job they are of, and why.

Their fields are `extra`, which only some formatters show. So where JOBS_LOG_FIELDS is true, a line
also ends with them: `[jobs] Job processing failed  jobId=… type=… attempt=1 error='…'`.
"""

import logging
from typing import Any

from flask import current_app, has_app_context

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def init_app(*, is_wanted: bool) -> None:
    """Have the lines of this package end with their fields where that is wanted.

    Args:
        is_wanted: For lines that are logged within no app; for the others, their app is asked.
    """
    logger = logging.getLogger(__package__)
    found = next((one for one in logger.handlers if isinstance(one, _Fields)), None)
    if found is None:
        logger.addHandler(found := _Fields())
    found.is_wanted = is_wanted


def in_text(fields: dict[str, Any]) -> str:
    """Return fields as a line shows them: `jobId=… error='two words'`."""
    return " ".join(f"{key}={_shown(value)}" for key, value in fields.items())


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says beside its message, as `extra` or by filters."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class _Fields(logging.Handler):
    """Comes before the handlers of the app, as that of the nearer logger, and writes nothing."""

    is_wanted = True

    def handle(self, record: logging.LogRecord) -> bool:
        is_wanted = self.is_wanted
        if has_app_context():
            is_wanted = current_app.config.get("JOBS_LOG_FIELDS", is_wanted)
        if is_wanted and (fields := fields_of(record)):
            # The fields are an argument, so that error trackers see one message for all jobs.
            text = str(record.msg) if record.args else str(record.msg).replace("%", "%%")
            given = record.args if isinstance(record.args, tuple) else ()
            record.msg, record.args = f"{text}  %s", (*given, in_text(fields))
        self._in_place_of_none(record)
        return True

    def _in_place_of_none(self, record: logging.LogRecord) -> None:
        """Do as logging does for an app without any handler, which ours otherwise would end."""
        last = logging.lastResort
        logger = logging.getLogger(__package__).parent
        is_alone = logger is None or not logger.hasHandlers()
        if is_alone and last is not None and record.levelno >= last.level:
            last.handle(record)


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if " " in text or "\n" in text else text
