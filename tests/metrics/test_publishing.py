"""Publish failures, which need a QStash that fails."""

import pytest
from flask import Flask

from app.jobs import PublishRefused, enqueue
from tests.support.http_server import HttpServer, Reply
from tests.support.metrics import Scrape, gained
from tests.support.publishing import publishing


def test_a_qstash_that_is_away_is_counted_and_kills_no_job(scrape: Scrape) -> None:
    before = scrape()
    enqueue("sample", {"action": "none"})

    found = gained(before, scrape())
    assert found["jobs_publish_failures_total", "unavailable", "sample"] == 1
    assert ("jobs_dead_total", "sample") not in found
    assert scrape()["jobs_queue_depth", "pending", "sample"] == 1


def test_what_qstash_refuses_is_counted_and_dead(app: Flask, scrape: Scrape) -> None:
    before = scrape()
    with (
        HttpServer(Reply(400, '{"error": "invalid"}')) as qstash,
        publishing(app, QSTASH_URL=qstash.url),
        pytest.raises(PublishRefused),
    ):
        enqueue("sample", {"action": "none"})

    found = gained(before, scrape())
    assert found["jobs_publish_failures_total", "refused", "sample"] == 1
    assert found["jobs_dead_total", "sample"] == 1
    assert found["jobs_dead_letters",] == 1
