"""What `make bench` and `make bench-quick` conclude from what they measured, and how they count."""

import json
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from benchmarks.peers.page import page
from benchmarks.peers.results import Figure, Measurement, Session
from benchmarks.quick.comparison import compare, complaint
from benchmarks.support.wire import Wire

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "before", "now", "said"),
    [
        (
            "execute: round trips",
            2.05,
            3.05,
            "execute: round trips grew from 2.05 to 3.05 (allowed: 0.2)",
        ),
        (
            "enqueue: WAL bytes",
            2500,
            3100,
            "enqueue: WAL bytes grew from 2,500 to 3,100 (allowed: 5%)",
        ),
        ("execute: HOT share", 0.7, 0.5, "execute: HOT share fell from 0.7 to 0.5 (allowed: 0.05)"),
        (
            "idle app: messages a day",
            48,
            49,
            "idle app: messages a day grew from 48 to 49 (allowed: 0)",
        ),
    ],
)
def test_what_is_worse_than_the_baseline_is_named(
    name: str, before: float, now: float, said: str
) -> None:
    (row,) = compare({name: before}, {name: now})

    assert row.verdict == "worse"
    assert complaint(row) == said


def test_what_counting_again_may_change_is_the_same_and_less_is_better() -> None:
    baseline = {"enqueue: WAL bytes": 2500.0, "execute: statements": 6.0, "a: HOT share": 0.5}
    counted = {"enqueue: WAL bytes": 2550.0, "execute: statements": 2.0, "a: HOT share": 0.9}

    verdicts = [row.verdict for row in compare(baseline, counted)]

    assert verdicts == ["same", "better", "better"]


def test_a_value_that_only_one_side_has_is_an_error() -> None:
    rows = compare({"enqueue: commits": 1.0}, {"execute: commits": 2.0})

    assert [complaint(row) for row in rows] == [
        "execute: commits (2) is not in the baseline",
        "enqueue: commits is in the baseline, but was not counted",
    ]


def test_every_value_of_the_baseline_has_a_tolerance() -> None:
    baseline = json.loads((ROOT / "benchmarks/quick/baseline.json").read_text())

    assert {row.verdict for row in compare(baseline, baseline)} == {"same"}


def test_the_proxy_counts_statements_round_trips_and_commits(database_server: str) -> None:
    url = make_url(database_server)
    with Wire(url.port or 5432) as wire:
        through = url.set(drivername="postgresql", port=wire.port)
        target = f"{through.render_as_string(hide_password=False)}?sslmode=disable"
        with psycopg.connect(target, autocommit=True) as connection:
            wire.count.clear()
            connection.execute("SELECT 1")
            with connection.transaction():
                connection.execute("SELECT 2")
            with connection.transaction(force_rollback=True):
                connection.execute("SELECT 3")
            counted = dict(wire.count)

    assert counted == {"statements": 7, "round_trips": 7, "commits": 2}


def session(**rates: list[float]) -> Session:
    """Return a session in which systems had these CPU milliseconds for a no-op, by round."""
    return Session(
        made="2026-11-29T08:00:00+00:00",
        environment={"machine": "of tests"},
        options={"rounds": 3},
        systems={
            name: {"label": name, "version": "", "runs_as": "", "records": "", "durable": ""}
            for name in rates
        },
        measurements=[
            Measurement(
                round=number,
                scenario="noop",
                system=name,
                jobs=100,
                values={"cpu": value, "rate": 1000 / value},
            )
            for name, values in rates.items()
            for number, value in enumerate(values, 1)
        ],
    )


def test_what_others_do_better_comes_first() -> None:
    written = page(session(ours=[2.0, 2.0, 2.0], slow=[8.0, 8.0, 8.0], fast=[1.0, 1.0, 1.0]))

    better, worse = written.split("## Where ")[1:3]
    assert "| CPU per job | 2.00 ms | fast 1.00 (2.00) |" in better
    assert "slow" not in better
    assert "| CPU per job | 2.00 ms | slow 8.00 (0.25) |" in worse


def test_no_ratio_is_taken_from_rounds_that_are_far_apart() -> None:
    written = page(session(ours=[2.0, 2.0, 2.0], shaky=[1.0, 4.0, 9.0]))

    assert "## Where others are better\n\nNowhere" in written
    assert "| shaky | 4.00 ~ |" in written
    assert Figure({1: 1.0, 2: 1.0}).ratio_to(Figure({1: 1.0, 2: 9.0})) is None
