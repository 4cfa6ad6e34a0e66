"""Errors of cron expressions."""


class CronError(ValueError):
    """The expression cannot be read; the message names the bad field and why it is bad."""


class NeverFiresError(CronError):
    """The expression is valid but never fires, such as on the 30th of February."""
