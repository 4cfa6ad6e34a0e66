"""Tools for the tests of an app with jobs.

    from app.jobs.testing import assert_enqueued, assert_idempotent, deliver, drain

Nothing here replaces the extension: a delivery is a signed request that goes through HTTP and
the database, in its own transactions. So it sees only what the test has committed, and a test
needs an application context, as `db.session` does.

Ask for the fixtures in the root `conftest.py`:

    pytest_plugins = ["app.jobs.testing"]

PYTEST_DONT_REWRITE: a `conftest.py` that also imports from here would be warned that it is too late
for that, and there is no `assert` to rewrite.
"""

from .database import clean_tables, temporary_database
from .deliveries import Delivered, deliver, drain
from .direct import make_job, perform
from .enqueued import assert_enqueued, refute_enqueued
from .failing import WAYS, FailingQStash
from .fixtures import failing_qstash, local_qstash, published
from .idempotency import assert_idempotent
from .rows import wait_for

__all__ = [
    "WAYS",
    "Delivered",
    "FailingQStash",
    "assert_enqueued",
    "assert_idempotent",
    "clean_tables",
    "deliver",
    "drain",
    "failing_qstash",
    "local_qstash",
    "make_job",
    "perform",
    "published",
    "refute_enqueued",
    "temporary_database",
    "wait_for",
]
