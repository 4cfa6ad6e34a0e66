"""All metrics as text: counters, and values that are read at each scrape."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from platform import python_version

from flask import current_app
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from ...gunicorn_hooks import undisturbed
from ..errors import DatabaseUnavailable
from ..operate import UsedUp, batches, health, pauses
from ..registry import registry_of
from ..table.snapshot import CAP, STATES, Depth, measure_depth
from . import instruments as instruments  # noqa: PLC0414 - imported to be registered

#: What may have installed this code: the extension alone, or the app that it was written with.
PACKAGES = ("flask-qstash-jobs", "flask-qstash-jobs-app")


def scrape(accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, and the content type that the scraper accepts."""
    registry = CollectorRegistry()
    for collector in (*_counted(), QueueCollector(), TagCollector(), BuildCollector()):
        registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _counted() -> list[Collector]:
    """Return the counters of this process, or under gunicorn of all its workers."""
    # Of prometheus-client; gunicorn's hooks may set it after the app is created.
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not given:
        return [REGISTRY]
    folder = Path(given)
    return [CountsCollector(folder), WorkersCollector(folder)]


class QueueCollector(Collector):
    """The waiting jobs, from the database; if it is down, the other metrics still work."""

    def collect(self) -> Iterator[Metric]:
        """Yield `jobs_database_up`, and the depth and the moments if that is 1."""
        try:
            found, moments, paused = measure_depth(), health.moments(), pauses.paused()
            together = batches.counts()
        except DatabaseUnavailable:
            found = None
        up = "Whether the database told how many jobs wait."
        yield GaugeMetricFamily("jobs_database_up", up, value=int(found is not None))
        if found is not None:
            yield from _depth(found)
            yield from _moments(*moments)
            yield _pauses(paused)
            yield from _batches(together)


class TagCollector(Collector):
    """The tags that job types declare: those of single jobs would be series without end."""

    def collect(self) -> Iterator[Metric]:
        """Yield `jobs_type_tag_info`."""
        about = "A tag that a job type declares; always 1."
        info = GaugeMetricFamily("jobs_type_tag_info", about, labels=["type", "tag"])
        for config in registry_of(current_app):
            for tag in config.tags:
                info.add_metric([config.type, tag], 1)
        yield info


class BuildCollector(Collector):
    """The running version."""

    def collect(self) -> Iterator[Metric]:
        """Yield `jobs_build_info`."""
        about = "The version of the extension; always 1."
        info = GaugeMetricFamily("jobs_build_info", about, labels=["version", "python"])
        info.add_metric([_version(), python_version()], 1)
        yield info


class CountsCollector(Collector):
    """The counters of all of gunicorn's workers, including dead ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield the sums."""
        counted = MultiProcessCollector(CollectorRegistry(), str(self._folder))  # type: ignore[no-untyped-call]  # has no annotations
        with undisturbed(self._folder):
            found = list(counted.collect())  # type: ignore[no-untyped-call]  # as above
        yield from found


class WorkersCollector(Collector):
    """CPU, memory and open files of each of gunicorn's workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield the usual `process_…`, each with the label `pid`."""
        merged: dict[str, Metric] = {}
        for pid in self._pids():
            looked_at = ProcessCollector(pid=lambda pid=pid: pid, registry=CollectorRegistry())  # type: ignore[misc]  # mypy cannot infer a default's type
            for metric in looked_at.collect():
                kept = merged.setdefault(metric.name, metric)
                found = [one._replace(labels={"pid": pid}) for one in metric.samples]
                kept.samples = found if kept is metric else kept.samples + found
        yield from merged.values()

    def _pids(self) -> list[str]:
        """Return the processes with a live gauge: gunicorn removes those of dead workers."""
        files = self._folder.glob("gauge_livesum_*.db")
        return sorted({path.stem.rpartition("_")[2] for path in files} | {str(os.getpid())})


def _moments(swept_at: datetime | None, quota: UsedUp | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "jobs_last_sweep_timestamp_seconds",
        "When the last sweep ended; 0 where none did.",
        value=swept_at.timestamp() if swept_at else 0,
    )
    yield GaugeMetricFamily(
        "jobs_quota_used_up_until_timestamp_seconds",
        "When QStash's daily quota is renewed, where it is used up; otherwise 0.",
        value=quota.until.timestamp() if quota else 0,
    )


def _pauses(found: list[pauses.Held]) -> Metric:
    begun = GaugeMetricFamily(
        "jobs_paused_since_timestamp_seconds",
        "When what is paused was; there is no series for what is not.",
        labels=["kind", "name"],
    )
    for one in found:
        begun.add_metric([one.pause.kind, one.pause.name], one.pause.since.timestamp())
    return begun


def _batches(found: batches.Counts) -> Iterator[Metric]:
    several = GaugeMetricFamily(
        "jobs_batches",
        f"Batches and workflows that are not deleted. Counting ends at {CAP} for each state.",
        labels=["kind", "state"],
    )
    for labels, count in found.by_state.items():
        several.add_metric(labels, count)
    yield several
    yield GaugeMetricFamily(
        "jobs_oldest_running_batch_age_seconds",
        "For how long the first of the batches that have not ended has been running; 0 without.",
        value=found.oldest_seconds,
    )


def _version() -> str:
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            return version(package)
    return "unknown"  # not installed


def _depth(found: Depth) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "jobs_queue_depth",
        f"Jobs that are not final, by state. Counting ends at {CAP} for each state.",
        labels=["type", "status"],
    )
    types = [config.type for config in registry_of(current_app)]
    none = dict.fromkeys(product(types, STATES), 0)
    for (job_type, state), count in {**none, **found.waiting}.items():
        waiting.add_metric([job_type, state], count)
    yield waiting
    dead = f"Jobs that failed for good, however long ago. Counting ends at {CAP}."
    yield GaugeMetricFamily("jobs_dead_letters", dead, value=found.dead)
    yield GaugeMetricFamily(
        "jobs_oldest_pending_age_seconds",
        "For how long the first of the pending jobs has been due; 0 where none is.",
        value=found.oldest_pending_seconds,
    )
