"""Background jobs for Flask over QStash: what an app imports, beside `testing` and `events`.

What stands below `flask_qstash_jobs.jobs` is private.
"""

from .jobs import *  # noqa: F403 - the face is listed once, in `jobs.__all__`
