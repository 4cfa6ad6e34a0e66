"""All metrics as text, those of the other processes on this machine included."""

import os
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.metrics import instruments as instruments  # noqa: PLC0414 - imported to be registered
from app.metrics.collectors import (
    BuildCollector,
    CountsCollector,
    QueueCollector,
    WorkersCollector,
)


def scrape(accept: str) -> tuple[bytes, str]:
    """Return the body and its content type, in the format that the scraper asks for."""
    registry = CollectorRegistry()
    for collector in (*_counted(), QueueCollector(), BuildCollector()):
        registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _counted() -> list[Collector]:
    """Return what was counted here, or under gunicorn in all its workers."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return [REGISTRY]
    return [CountsCollector(Path(folder)), WorkersCollector(Path(folder))]
