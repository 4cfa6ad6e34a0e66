"""Scrapes of this process, and what changed between two."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "scraper " + "t" * 32

Samples = dict[tuple[str, ...], float]
Scrape = Callable[[], Samples]


@pytest.fixture
def scrape(app: Flask, client: FlaskClient) -> Scrape:
    """Return the value of each sample by its name and its labels' values, ordered by the labels."""
    app.config["JOBS_METRICS_TOKEN"] = TOKEN

    def scraped() -> Samples:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        return parsed(answer.text)

    return scraped


def parsed(text: str) -> Samples:
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def gained(before: Samples, after: Samples) -> Samples:
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if value != before.get(key, 0) and key[0].startswith("jobs_")
    }
