"""Checks for `flask jobs doctor`; an app adds its own with `doctor.check`."""

from .jobs.doctor import *  # noqa: F403 - the face is listed once, in its `__all__`
