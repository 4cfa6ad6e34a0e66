"""A real local QStash server for the app, as the tests of the jobs have it."""

from tests.jobs.conftest import qstash

__all__ = ["qstash"]
