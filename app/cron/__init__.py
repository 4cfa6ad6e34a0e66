"""Cron expressions as QStash reads them: the dialect of robfig/cron v3, and its error messages.

The extension (`app.jobs`) and the local server (`app.local_qstash`) share it, so that they agree.
It imports nothing from the app.

    parse("CRON_TZ=Europe/Berlin 0 9 * * MON-FRI").next(datetime.now(UTC))
"""

from .errors import CronError, NeverFiresError
from .expression import Every, Fields, Schedule, parse
from .words import in_words

__all__ = ["CronError", "Every", "Fields", "NeverFiresError", "Schedule", "in_words", "parse"]
