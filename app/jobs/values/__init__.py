"""What a caller may write: ids, addresses, durations, options, cron expressions.

No I/O; every other room may use it.
"""
