"""What a check finds."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    PASS = "pass"  # noqa: S105 - the opposite of a secret
    WARN = "warn"
    FAIL = "fail"
    #: Not asked, as something that it needs failed.
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's result: one sentence, and the way to mend it. Names no secret's value."""

    level: Level
    said: str
    fix: str = ""


def passed(said: str) -> Finding:
    return Finding(Level.PASS, said)


def warning(said: str, *, fix: str) -> Finding:
    return Finding(Level.WARN, said, fix)


def failure(said: str, *, fix: str) -> Finding:
    return Finding(Level.FAIL, said, fix)
