"""Events that an app's jobs emit, for metrics, traces and error trackers."""

from .jobs.events import *  # noqa: F403 - the face is listed once, in its `__all__`
