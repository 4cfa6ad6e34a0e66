"""Publishing in the background: an enqueue costs its INSERT, and nothing is lost at the end."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from app.db import db
from app.jobs import JobExecution, enqueue
from app.jobs.publish.background import BackgroundPublisher
from app.local_qstash.testing import LocalQStash
from tests.support.publishing import NOBODY, publishing, served_by

GOOD = {"action": "none"}


@pytest.fixture
def background(app: Flask) -> Iterator[BackgroundPublisher]:
    with served_by(app, LocalQStash()):
        made = BackgroundPublisher(app, grace=10)
        app.extensions["jobs"] = replace(app.extensions["jobs"], background=made)
        yield made
        made.close()


def message_ids() -> list[str | None]:
    db.session.rollback()
    return list(db.session.scalars(select(JobExecution.message_id)))


def test_an_enqueue_costs_its_insert_alone(
    background: BackgroundPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[tuple[str, str]] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        statements.append((threading.current_thread().name, str(query).split()[0]))
        return execute(cursor, query, *args, **options)

    db.session.connection()
    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    enqueue("sample", GOOD, delay=3600)
    background.close()

    assert statements == [(threading.current_thread().name, "INSERT"), ("jobs-publisher", "UPDATE")]


def test_what_waits_at_the_end_is_published(background: BackgroundPublisher) -> None:
    for _ in range(250):
        enqueue("sample", GOOD, delay=3600)

    background.close()

    assert None not in message_ids()
    assert len(message_ids()) == 250


def test_it_starts_again_after_it_was_closed(background: BackgroundPublisher) -> None:
    for _ in range(2):
        enqueue("sample", GOOD, delay=3600)
        background.close()

    assert None not in message_ids()


def test_without_qstash_the_job_stays_for_the_sweep(
    app: Flask, background: BackgroundPublisher
) -> None:
    with publishing(app, QSTASH_URL=NOBODY):
        enqueue("sample", GOOD)
        background.close()

    assert message_ids() == [None]
