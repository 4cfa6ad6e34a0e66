"""What the dashboard, the alerts and the page ask for exists, and what exists is described."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from app.jobs import enqueue
from app.jobs.outcome import LABELS
from app.jobs.testing import deliver
from tests.support.metrics import Scrape

DOCS = Path(__file__).parent.parent.parent / "docs"
NAME = re.compile(r"\b(?:jobs|app|process)_[a-z_]+\b")

DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana/jobs.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((DOCS / "prometheus/alerts.yml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in DASHBOARD["templating"]["list"][1:])
    yield from (rule["expr"] for rule in RULES)


def names_in(text: str) -> set[str]:
    return set(NAME.findall(text))


def everything(scrape: Scrape) -> set[str]:
    """Return the names of a scrape after every kind of event, but those that are never made."""
    from app.jobs.metrics import instruments  # noqa: PLC0415 - as the app does

    deliver(enqueue("sample", {"action": "none"}))
    enqueue("noop", {"action": "none"})
    instruments.RETRIES.labels("sample")
    instruments.DEAD.labels("sample")
    instruments.SIGNATURE_FAILURES.labels("qstash")
    instruments.PUBLISH_FAILURES.labels("sample", "refused")
    return {key[0] for key in scrape()}


def test_whatever_is_asked_for_is_scraped(scrape: Scrape, published: object) -> None:
    asked = set().union(*map(names_in, expressions()))

    assert len(asked) > 10
    assert asked <= everything(scrape)


def test_every_metric_of_ours_is_on_the_page(scrape: Scrape, published: object) -> None:
    page = (DOCS / "monitoring.md").read_text()
    families = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in everything(scrape)
        if name.startswith(("jobs_", "app_"))
    }

    assert families <= names_in(page) | {"jobs_build_info"}
    assert names_in(page) >= {"jobs_build_info"}


def test_outcomes_that_are_asked_for_exist() -> None:
    asked = re.findall(r'outcome=~?"([^"]+)"', " ".join(expressions()))

    assert {one for group in asked for one in group.split("|")} <= set(LABELS)


def test_alert_rules_have_the_shape_that_prometheus_loads() -> None:
    assert ALERTS.keys() == {"groups"}
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[A-Za-z_]\w*", rule["alert"])
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        cells = {(i, j) for i in range(x, x + w) for j in range(y, y + h)}
        assert not cells & taken
        assert x + w <= 24
        taken |= cells
