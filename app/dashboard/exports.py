"""How an app has all jobs of a list written to a file, where it has a job that does so."""

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app

from ..jobs.operate import Filter
from . import access
from .access import User

#: Enqueues a job that writes what fits a filter for a user, and returns its id; None where it
#: cannot choose these jobs.
Export = Callable[[Filter, User], str | None]

_KEY = "jobs.dashboard.export"


def init_app(app: Flask, export: Export | None) -> None:
    """Keep what the app exports by."""
    if export is not None:
        app.extensions[_KEY] = export


def is_there() -> bool:
    """Tell whether the app has such a job."""
    return _KEY in current_app.extensions


def begin(wanted: Filter) -> str | None:
    """Have the app write what fits; None where it has no job for that."""
    export: Any = current_app.extensions.get(_KEY)
    made: str | None = export and export(wanted, access.user())
    return made
