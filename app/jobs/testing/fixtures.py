"""The fixtures: a QStash that takes everything and does nothing, and a real one on this machine."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from ..message import Message
from ..publish.qstash import Publisher
from .failing import FailingQStash
from .in_memory import InMemoryPublisher
from .rows import begun

if TYPE_CHECKING:
    from ...local_qstash.testing import LocalQStash

# QStash's own wait before the first retry is 12 s: 0.12 s at this speed.
_SPEED = 100.0


@pytest.fixture
def published(app: Flask) -> Iterator[list[Message]]:
    """Yield the messages that the app publishes: QStash takes them, without a network.

    It needs a fixture `app`. Nothing is delivered by itself: see `deliver` and `drain`, which, like
    `assert_enqueued`, leave alone the jobs that were recorded before this fixture began.
    """
    state = app.extensions["jobs"]
    publisher = InMemoryPublisher(base_url=app.config["BASE_URL"])
    app.extensions["jobs"] = replace(state, publisher=publisher, background=None)
    with begun(app):
        yield publisher.messages
    app.extensions["jobs"] = state


@pytest.fixture
def failing_qstash(app: Flask, request: pytest.FixtureRequest) -> Iterator[FailingQStash]:
    """Yield a QStash that the app publishes to and that fails, over HTTP and through the SDK.

    It is "away" unless told otherwise: set `failing_qstash.way` to one of `WAYS`, or have a test
    run with each of them. `failing_qstash.recover()` ends the trouble. Jobs that were recorded
    before are left alone, as by `published`.

        @pytest.mark.parametrize("failing_qstash", WAYS, indirect=True)
        def test_an_order_is_never_lost(failing_qstash): ...
    """
    state, config = app.extensions["jobs"], app.config
    with FailingQStash(getattr(request, "param", "away")) as server, begun(app):
        publisher = Publisher(
            url=server.url,
            token="failing",  # noqa: S106 - nobody checks it
            base_url=config["BASE_URL"],
            budget=config["JOBS_PUBLISH_TIMEOUT"],
        )
        app.extensions["jobs"] = replace(state, publisher=publisher, background=None)
        yield server
        app.extensions["jobs"] = state
        publisher.close()


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
    from ...local_qstash.testing import LocalQStash  # noqa: PLC0415

    with LocalQStash(**{"speed": _SPEED, **getattr(request, "param", {})}) as server:
        yield server
