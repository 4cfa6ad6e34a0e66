"""What an app's own commands are made of: groups, errors in one line, `--json`, tables."""

from .formatting import age, state, table, time
from .group import (
    FAILED,
    CommandGroup,
    JobsGroup,
    Refused,
    acting_as,
    as_json,
    confirm,
    jobs,
    limit,
    print_json,
    yes,
)
from .params import Duration, Id, JobId, JobType

__all__ = [
    "FAILED",
    "CommandGroup",
    "Duration",
    "Id",
    "JobId",
    "JobType",
    "JobsGroup",
    "Refused",
    "acting_as",
    "age",
    "as_json",
    "confirm",
    "jobs",
    "limit",
    "print_json",
    "state",
    "table",
    "time",
    "yes",
]
