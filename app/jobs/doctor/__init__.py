"""Checks of what may be wrong with an app's jobs, with fixes; families add their own.

Checks are read-only: none changes a row or a setting.

from app.jobs import doctor

@doctor.check(bp, "sms-key")
def sms_key() -> doctor.Finding:
    return doctor.passed("the provider takes the key")
"""

from . import database, delivery, production, qstash, queue, settings
from .checks import Check, Finding, Level, check, checks_of, failure, passed, warning
from .examination import Result, examine

__all__ = [
    "Check",
    "Finding",
    "Level",
    "Result",
    "check",
    "checks_of",
    "database",
    "delivery",
    "examine",
    "failure",
    "passed",
    "production",
    "qstash",
    "queue",
    "settings",
    "warning",
]
