"""What the tests of an application with jobs import.

Ask for the fixtures in the root `conftest.py`:

    pytest_plugins = ["app.jobs.testing"]
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from app.local_qstash.testing import LocalQStash

# QStash's own wait before the first retry is 12 s: 0.12 s at this speed.
_SPEED = 100.0


@pytest.fixture
def local_qstash(request: pytest.FixtureRequest) -> Iterator["LocalQStash"]:
    """Yield a QStash server of this test's own: in memory, on a free port, 100 times faster.

    It has `url`, `token`, `current_signing_key` and `next_signing_key`, what a client and a
    receiver need. Delays, backoff and cron pass 100 times faster. Other options of `LocalQStash`
    are given by indirect parametrization, here for a chaos test:

        @pytest.mark.parametrize(
            "local_qstash", [{"faults": ["drop=0.1", "duplicate=0.1"], "seed": 7}], indirect=True
        )
        def test_nothing_is_done_twice(local_qstash): ...
    """
    # Imported here, so that tests that do without it do not wait for aiohttp.
    from app.local_qstash.testing import LocalQStash  # noqa: PLC0415

    with LocalQStash(**{"speed": _SPEED, **getattr(request, "param", {})}) as server:
        yield server
