"""The tables of jobs: `upgrade` makes and changes them, `include_object` hides them."""

from .jobs.migrations import *  # noqa: F403 - the face is listed once, in its `__all__`
