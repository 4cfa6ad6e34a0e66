"""What the tests of an app with jobs import; `pytest_plugins = ["flask_qstash_jobs.testing"]`.

PYTEST_DONT_REWRITE: as in `jobs.testing`.
"""

from .jobs.testing import *  # noqa: F403 - the face is listed once, in its `__all__`
