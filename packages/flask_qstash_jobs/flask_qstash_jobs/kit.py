"""What those build on who extend an app with jobs: families with tables or pages of theirs."""

from .jobs.kit import *  # noqa: F403 - the face is listed once, in its `__all__`
