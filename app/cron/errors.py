"""What is wrong with a cron expression."""


class CronError(ValueError):
    """The expression cannot be read; the message names the bad field and why it is bad."""


class NeverFiresError(CronError):
    """The expression can be read and names no moment, such as the 30th of February."""
