"""Publish failures, which need a QStash that fails."""

from dataclasses import replace

import pytest
from flask import Flask

from app.jobs import PublishRefused, enqueue
from app.jobs.extension import _publisher
from tests.metrics.conftest import Scrape, gained
from tests.support.http_server import canned_server


def test_a_qstash_that_is_away_is_counted_and_kills_no_job(scrape: Scrape) -> None:
    before = scrape()
    enqueue("sample", {"action": "none"})

    found = gained(before, scrape())
    assert found["jobs_publish_failures_total", "unavailable", "sample"] == 1
    assert ("jobs_dead_total", "sample") not in found
    assert scrape()["jobs_queue_depth", "pending", "sample"] == 1


def test_what_qstash_refuses_is_counted_and_dead(app: Flask, scrape: Scrape) -> None:
    before = scrape()
    with canned_server() as qstash:
        qstash.status, qstash.body = 400, '{"error": "invalid"}'
        app.config["QSTASH_URL"] = qstash.url
        state = app.extensions["jobs"]
        app.extensions["jobs"] = replace(state, publisher=_publisher(app.config))
        with pytest.raises(PublishRefused):
            enqueue("sample", {"action": "none"})
        app.extensions["jobs"].publisher.close()

    found = gained(before, scrape())
    assert found["jobs_publish_failures_total", "refused", "sample"] == 1
    assert found["jobs_dead_total", "sample"] == 1
    assert found["jobs_dead_letters",] == 1
