"""What admin pages, APIs and alerts are built from: lists, actions, health, readiness."""

from .jobs.operate import *  # noqa: F403 - the face is listed once, in its `__all__`
