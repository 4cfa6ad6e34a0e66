"""What the tests of an application with jobs import.

    from app.jobs.testing import assert_enqueued, assert_idempotent, deliver, drain

Nothing here stands in for the extension: a delivery is a signed request that goes through HTTP and
the database, in transactions of its own. So it sees only what the test has committed, and a test
needs an application context, as `db.session` does.

Ask for the fixtures in the root `conftest.py`:

    pytest_plugins = ["app.jobs.testing"]
"""

from app.jobs.testing.deliveries import Delivered, deliver, drain
from app.jobs.testing.direct import make_job, perform
from app.jobs.testing.enqueued import assert_enqueued, refute_enqueued
from app.jobs.testing.failing import WAYS, FailingQStash
from app.jobs.testing.fixtures import failing_qstash, local_qstash, published
from app.jobs.testing.idempotency import assert_idempotent
from app.jobs.testing.rows import wait_for

__all__ = [
    "WAYS",
    "Delivered",
    "FailingQStash",
    "assert_enqueued",
    "assert_idempotent",
    "deliver",
    "drain",
    "failing_qstash",
    "local_qstash",
    "make_job",
    "perform",
    "published",
    "refute_enqueued",
    "wait_for",
]
