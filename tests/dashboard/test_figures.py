"""Figures are counted by one process at a time, kept for all, and only while somebody looks."""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread, current_thread

import pytest
from flask import Flask
from sqlalchemy import text

from app.dashboard.cached import Figure, figure, figures_of
from app.db import db
from app.jobs.operate import ended, figures
from app.jobs.table import buckets
from tests.support.rows import AddJobs, add_row
from tests.support.waiting import wait_until

from .pages import PREFIX, Reader, text_of

LONG = 3600.0


def restart(app: Flask) -> None:
    """Have the app know no more than another process of it."""
    for one in app.extensions.pop("jobs.dashboard.cached", {}).values():
        with one.lock:  # what it counts has a connection until its end
            pass


def ages(name: str, seconds: float) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    with db.engine.begin() as connection:
        given = {"name": name, "moment": moment}
        connection.execute(text("UPDATE job_figures SET at = :moment WHERE name = :name"), given)


def test_what_one_process_counted_another_shows(app: Flask) -> None:
    first = figure(Figure("letters", dict[str, int | None], LONG, lambda: {"a": 1, "b": None}))
    restart(app)
    second = figure(Figure("letters", dict[str, int | None], LONG, dict[str, int | None]))

    assert first.value == second.value == {"a": 1, "b": None}


def test_while_one_counts_no_other_does_and_the_last_figure_is_shown_with_its_age(
    app: Flask,
) -> None:
    figure(Figure("letters", int, 1.0, lambda: 1))
    ages("letters", 600)
    assert figures.claim("letters", 1.0)  # by another process

    restart(app)
    shown = figure(Figure("letters", int, 1.0, lambda: 2))

    assert shown.value == 1
    assert shown.old == pytest.approx(600, abs=60)


def test_a_process_that_died_while_it_counted_holds_a_figure_up_for_two_minutes(app: Flask) -> None:
    assert figures.claim("letters", 1.0)
    assert not figures.claim("letters", 1.0)

    with db.engine.begin() as connection:
        connection.execute(text("UPDATE job_figures SET claimed_until = now() - interval '1 s'"))

    assert figure(Figure("letters", int, 1.0, lambda: 2)).value == 2


def test_one_thread_counts_what_a_page_wants_and_what_took_least_first(app: Flask) -> None:
    counted: list[tuple[int, Thread]] = []

    def count(number: int) -> Figure[int]:
        def note() -> int:
            counted.append((number, current_thread()))
            return number

        return Figure(f"{number}", int, 1.0, note)

    for number, took in [(1, 5.0), (2, 0.1), (3, 1.0)]:
        figures.keep(f"{number}", 0, took)
        ages(f"{number}", LONG)
    figures_of(count(1), count(2), count(3))
    wait_until(lambda: len(counted) == 3)

    assert [number for number, _ in counted] == [2, 3, 1]
    assert len({thread for _, thread in counted} - {current_thread()}) == 1


def test_a_figure_that_cannot_be_counted_is_tried_again_and_the_last_one_stays(app: Flask) -> None:
    tried = Event()

    def fail() -> int:
        tried.set()
        raise ValueError("no")

    figure(Figure("letters", int, 1.0, lambda: 1))
    ages("letters", 5)
    restart(app)

    assert figure(Figure("letters", int, 1.0, fail)).value == 1
    assert tried.is_set()
    wait_until(lambda: figure(Figure("letters", int, 1.0, lambda: 3)).value == 3)


def test_what_another_version_kept_is_counted_anew(app: Flask) -> None:
    figures.keep("letters", ["not", "a", "mapping"], 0.0)
    ages("letters", 60)

    assert figure(Figure("letters", dict[str, int], 1.0, lambda: {"a": 1})).value == {"a": 1}


def test_the_overview_survives_a_restart_and_says_how_old_it_is(app: Flask, reader: Reader) -> None:
    add_row(status="cancelled")
    assert "Cancelled 1" in text_of(reader.get(""))
    ages("counts", 600)
    assert figures.claim("counts", 1.0)

    restart(app)
    shown = text_of(reader.get(""))

    assert "Cancelled 1" in shown
    assert "Counted 10 min ago, and being counted anew." in shown


def test_an_hour_that_is_over_is_counted_once(app: Flask, add_jobs: AddJobs) -> None:
    long_ago = "now() - interval '5 hours'"
    add_jobs(2, "completed", completed_at=long_ago)
    before = ended(steps=24, seconds=buckets.HOUR)
    add_jobs(1, "completed", completed_at=long_ago)
    add_jobs(4, "completed", completed_at="now()")

    after = ended(steps=24, seconds=buckets.HOUR)

    assert before.is_complete
    assert (before.completed, after.completed) == (2, 6)


def test_what_takes_long_is_counted_piece_by_piece(
    app: Flask, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_jobs(2, "completed", completed_at="now() - interval '5 hours'")
    monkeypatch.setattr("app.jobs.table.ended.BUDGET", 0.0)
    assert not ended(steps=24, seconds=buckets.HOUR).is_complete

    monkeypatch.setattr("app.jobs.table.ended.BUDGET", 60.0)

    assert ended(steps=24, seconds=buckets.HOUR).completed == 2


def test_while_nobody_looks_nothing_is_written(app: Flask, reader: Reader) -> None:
    reader.get("/jobs")  # has no figures

    with db.engine.connect() as connection:
        written = connection.execute(text("SELECT count(*) FROM job_figures")).scalar_one()

    assert written == 0
    assert PREFIX in reader.get("").text
