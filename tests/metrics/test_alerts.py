"""The shipped alerts, run by Prometheus' own programs."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from app.jobs import enqueue
from app.jobs.outcome import LABELS
from app.jobs.registry import registry_of
from app.jobs.testing import deliver
from tests.support.http_server import serving
from tests.support.metrics import TOKEN, Scrape
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

RULES = Path(__file__).parents[2] / "docs/prometheus/alerts.yml"

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="prometheus and promtool are not installed (apt install prometheus)",
)

#: Series of the first minutes of an app by the alert that they must, or must not, set off.
#: A minute between two values.
QUIET = "0x40"
FIRST_CASES: dict[str, tuple[dict[str, str], str, bool]] = {
    "the first dead job": (
        {'jobs_dead_total{type="sample"}': "0x20 1x20"},
        "JobsDead",
        True,
    ),
    "a job that died before the first scrape": (
        {'jobs_dead_total{type="sample"}': "_x20 1x20"},
        "JobsDead",
        True,
    ),
    "no dead job": ({'jobs_dead_total{type="sample"}': QUIET}, "JobsDead", False),
    "one that died long ago": ({'jobs_dead_total{type="sample"}': "1x40"}, "JobsDead", False),
    "a restart of a process that had counted": (
        {'jobs_dead_total{type="sample"}': "3x20 0x20"},
        "JobsDead",
        False,
    ),
    "the first forged requests": (
        {'jobs_signature_failures_total{source="github"}': "0x20 12x20"},
        "JobsSignaturesRefused",
        True,
    ),
    "forged before the first scrape": (
        {'jobs_signature_failures_total{source="github"}': "_x20 12x20"},
        "JobsSignaturesRefused",
        True,
    ),
    "a few that are wrong": (
        {'jobs_signature_failures_total{source="github"}': "0x20 3x20"},
        "JobsSignaturesRefused",
        False,
    ),
    "the first that QStash refuses": (
        {'jobs_publish_failures_total{type="sample",reason="refused"}': "0x20 1x20"},
        "JobsPublishRefused",
        True,
    ),
    "one hiccup of QStash": (
        {'jobs_publish_failures_total{type="sample",reason="unavailable"}': "0x20 1x20"},
        "JobsUnpublished",
        False,
    ),
    "an outage of QStash": (
        {'jobs_publish_failures_total{type="sample",reason="unavailable"}': "0x5 0+1x35"},
        "JobsUnpublished",
        True,
    ),
    "the first attempts, all failing": (
        {
            'jobs_deliveries_total{type="sample",outcome="failed"}': "0x11 0+1x29",
            'jobs_deliveries_total{type="sample",outcome="completed"}': QUIET,
        },
        "JobsFailing",
        True,
    ),
    "nothing delivered yet": (
        {
            'jobs_deliveries_total{type="sample",outcome="failed"}': QUIET,
            'jobs_deliveries_total{type="sample",outcome="completed"}': QUIET,
        },
        "JobsFailing",
        False,
    ),
    "the first jobs wait long": (
        {
            'jobs_waiting_seconds_bucket{type="sample",le="60"}': QUIET,
            'jobs_waiting_seconds_bucket{type="sample",le="300"}': "0x2 0+1x38",
            'jobs_waiting_seconds_bucket{type="sample",le="+Inf"}': "0x2 0+1x38",
        },
        "JobsWaitLong",
        True,
    ),
    "none has waited": (
        {
            'jobs_waiting_seconds_bucket{type="sample",le="60"}': QUIET,
            'jobs_waiting_seconds_bucket{type="sample",le="+Inf"}': QUIET,
        },
        "JobsWaitLong",
        False,
    ),
    "the database is away": ({"jobs_database_up": "1x20 0x20"}, "JobsDatabaseDown", True),
    "away from the start": ({"jobs_database_up": "0x40"}, "JobsDatabaseDown", True),
    "a job is overdue": (
        {"jobs_oldest_pending_age_seconds": "700+60x40"},
        "JobsOverdue",
        True,
    ),
    "no process was ever scraped": ({"other": QUIET}, "JobsMetricsAbsent", True),
    "one is": ({"jobs_build_info": "1x40"}, "JobsMetricsAbsent", False),
}


@needs_prometheus
@pytest.mark.parametrize("case", FIRST_CASES)
def test_fault_K14_the_first_case_sets_off_its_alert(case: str, tmp_path: Path) -> None:
    series, alert, fires = FIRST_CASES[case]
    instant = "25m" if "JobsDead" in alert or "Refused" in alert else "35m"
    # An expression over ALERTS says only whether it fires, and not with which annotations.
    firing = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if fires else []
    test = {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'max by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
                "eval_time": instant,
                "exp_samples": firing,
            }
        ],
    }
    given = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(given))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_first_case() -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]

    assert {alert for _, alert, fires in FIRST_CASES.values() if fires} == {
        rule["alert"] for rule in rules
    }


def test_fault_K14_every_series_is_there_with_0_before_anything_happens(
    app: Flask, scrape: Scrape
) -> None:
    found = scrape()

    for config in registry_of(app):
        for name in ("jobs_enqueued_total", "jobs_retries_total", "jobs_dead_total"):
            assert (name, config.type) in found
        assert ("jobs_in_flight", config.type) in found
        assert ("jobs_waiting_seconds_count", config.type) in found
        assert ("jobs_execution_duration_seconds_bucket", "+Inf", config.type) in found
        for outcome in LABELS:
            assert ("jobs_deliveries_total", outcome, config.type) in found
        for reason in ("refused", "unavailable"):
            assert ("jobs_publish_failures_total", reason, config.type) in found
        for state in ("pending", "processing", "retrying"):
            assert found["jobs_queue_depth", state, config.type] == 0
    for source in ("qstash", "stripe", "github", "resend"):
        assert ("jobs_signature_failures_total", source) in found


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """The address of the app, as a scraper knows it."""
    app.config["JOBS_METRICS_TOKEN"] = TOKEN
    with serving(app) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def prometheus(served: str, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the app each second, with the shipped rules."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "app",
                "authorization": {"credentials": TOKEN},
                "static_configs": [{"targets": [served]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{reserved_port()}"
    with (tmp_path / "prometheus.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - a program of the system
            ["prometheus", "--config.file=prometheus.yml", f"--web.listen-address={address}"],  # noqa: S607
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
    yield f"http://{address}"
    process.terminate()
    process.wait()


def asked(prometheus: str, path: str) -> list[Any]:
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/{path}", timeout=5) as answer:  # noqa: S310 - our own
            data = json.load(answer)["data"]
    except OSError:
        return []
    return list(data.get("alerts") or data.get("result") or [])


@needs_prometheus
@pytest.mark.usefixtures("published")
def test_fault_K14_a_prometheus_that_scrapes_the_app_tells_of_the_first_dead_job(
    prometheus: str, client: FlaskClient
) -> None:
    series = "query?query=jobs_dead_total%7Btype%3D%22sample%22%7D"
    wait_until(lambda: asked(prometheus, series), "a scrape")
    deliver(enqueue("sample", {"action": "permanent"}))

    def firing() -> list[Any]:
        return [
            alert
            for alert in asked(prometheus, "alerts")
            if alert["state"] == "firing"
            and alert["labels"]["alertname"] == "JobsDead"
            # Other types may have had dead jobs in this process before.
            and alert["labels"]["type"] == "sample"
        ]

    wait_until(firing, "the alert")
    assert len(firing()) == 1
