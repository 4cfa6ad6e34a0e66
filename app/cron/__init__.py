"""Cron expressions as QStash reads them: the dialect of robfig/cron v3, which its errors are of.

Used by declarations and lists of schedules (`app.jobs`) and by the local server
(`app.local_qstash`), so that what one of them says, the other does. It imports nothing of the app.

    parse("CRON_TZ=Europe/Berlin 0 9 * * MON-FRI").next(datetime.now(UTC))
"""

from .errors import CronError, NeverFiresError
from .expression import Every, Fields, Schedule, parse
from .words import in_words

__all__ = ["CronError", "Every", "Fields", "NeverFiresError", "Schedule", "in_words", "parse"]
