"""The lines that a handler logs, by any logger: the newest of each attempt are kept with it.

They are taken where `logging` hands a record to its handlers, and after those have seen it, so
what an app's filters drop or change is dropped or changed here as well. A handler of logging's own
on the root logger would not do: where it has one, `basicConfig` and Flask leave logging as it is,
and it sees nothing of a logger that does not propagate.
"""

import logging
from collections import deque
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from functools import wraps
from itertools import count
from types import TracebackType
from typing import Any

from flask import current_app

from ..payload import failures, redaction
from ..table.attempts import Attempt
from ..values import jsonb

#: Lines of an attempt that are kept, bytes of one of them, and of all.
MOST, LONGEST, LARGEST = 100, 2 * 1024, 16 * 1024

#: What this package logs of the job itself is no line of the handler's.
_OURS = __name__.rpartition(".execute.")[0]

_Line = tuple[float, str, str, str]


class LogLines:
    """Keeps what is logged in its block, also by tasks and threads that have the block's context.

    The attempt gets the lines when the block ends; what a thread logs after that is nobody's.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._lines: deque[_Line] = deque(maxlen=MOST)
        self._numbers = count(1)
        self._seen = 0
        self._token: Token[LogLines | None] | None = None

    def __enter__(self) -> None:
        if current_app.config["JOBS_KEEP_LOGS"]:
            _listen()
            self._token = _kept.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _kept.reset(self._token)
            self._token = None
            self._attempt.logged = self._written()

    def add(self, record: logging.LogRecord) -> None:
        """Keep a record's line; whatever is wrong with that is no concern of who logs it."""
        if self._token is None or record.name.startswith(_OURS):
            return
        try:
            self._lines.append((record.created, record.levelname, record.name, _text(record)))
            self._seen = next(self._numbers)
        except Exception:  # noqa: BLE001 - logging's own handlers have said so
            return

    def _written(self) -> dict[str, Any] | None:
        """Return the newest lines as the row keeps them, with the number of those left out."""
        kept: deque[dict[str, str]] = deque()
        size = 0
        for created, level, logger, message in reversed(self._lines):
            line = {
                "at": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
                "level": jsonb.bounded(level, 50),
                "logger": jsonb.bounded(logger, 200),
                # Scrubbed before it is cut, or half a secret might be left at the cut.
                "message": jsonb.bounded(redaction.scrub(message), LONGEST),
            }
            size += sum(len(text.encode()) for text in line.values())
            if kept and size > LARGEST:
                break
            kept.appendleft(line)
        if not kept:
            return None
        left_out = self._seen - len(kept)
        return {"attempt": self._attempt.lease.attempt, "left_out": left_out, "lines": list(kept)}


_kept: ContextVar[LogLines | None] = ContextVar("jobs_log_lines", default=None)
_listening = False


def _text(record: logging.LogRecord) -> str:
    """Return the message, with the end of a traceback that is logged with it."""
    said = record.getMessage()
    if not record.exc_info or record.exc_info[1] is None:
        return said[: 2 * LONGEST]
    trace = failures.describe(record.exc_info[1]).traceback.rstrip()
    return f"{said[: LONGEST // 4]}\n{trace[-LONGEST // 2 :]}"


def _listen() -> None:
    """See every record from now on, in this process."""
    global _listening  # noqa: PLW0603 - as logging itself, it is the process's
    if _listening:
        return
    _listening = True
    call_handlers = logging.Logger.callHandlers

    @wraps(call_handlers)
    def call_and_keep(self: logging.Logger, record: logging.LogRecord) -> None:
        try:
            call_handlers(self, record)
        finally:
            lines = _kept.get()
            if lines is not None:
                lines.add(record)

    logging.Logger.callHandlers = call_and_keep  # type: ignore[method-assign]
