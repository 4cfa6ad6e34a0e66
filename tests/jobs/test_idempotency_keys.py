"""An idempotency key may have a lifetime, and belongs to one payload."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func

from app.db import db
from app.jobs import JobId, KeyReused, enqueue
from tests.support.apps import PRODUCTION
from tests.support.rows import Rows, change_row, count_rows
from tests.support.unique_jobs import bp

pytestmark = pytest.mark.usefixtures("published")

SAME: Any = {"action": "none", "count": 1}
OVER = func.now() - timedelta(seconds=1)


def keyed(payload: Any = SAME, **options: Any) -> JobId:
    return enqueue("sample", payload, idempotency_key="k", **options)


def test_after_its_time_a_key_may_be_used_again_by_one(app: Flask, rows: Rows) -> None:
    first = keyed(idempotency_ttl="24h")
    assert keyed() == first
    until = rows[first].idempotency_until
    assert until is not None
    assert timedelta(hours=23) < until - rows[first].created_at <= timedelta(hours=24)
    change_row(first, idempotency_until=OVER)
    made: list[JobId] = []

    def enqueue_once() -> None:
        with app.app_context():
            made.append(keyed())

    threads = [Thread(target=enqueue_once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({*made}) == 1
    assert sorted(one.enqueued_as for one in made) == ["existing"] * 7 + ["new"]
    assert first not in made
    assert count_rows() == 2


def test_without_a_time_a_key_is_never_free(rows: Rows) -> None:
    first = keyed()
    change_row(first, status="completed", created_at=func.now() - timedelta(days=300))

    assert keyed() == first


def test_a_rollback_leaves_a_key_with_the_job_that_had_it(rows: Rows) -> None:
    first = keyed(idempotency_ttl="24h")
    change_row(first, idempotency_until=OVER)
    keyed(session=db.session)
    db.session.rollback()

    assert rows[first].idempotency_key == "k"


def test_a_key_belongs_to_one_payload(rows: Rows) -> None:
    first = keyed()

    with pytest.raises(KeyReused) as raised:
        keyed({"action": "none", "count": 2})

    assert raised.value.job_id == first
    assert str(raised.value) == (
        f"idempotency_key: belongs to job {first} of sample, whose payload is another: use a key "
        "of its own for each payload"
    )
    assert count_rows() == 1
    assert enqueue("sample", {"action": "none"}, idempotency_key="k", organization_id=1) != first


def test_what_was_recorded_before_payloads_were_compared_is_not(rows: Rows) -> None:
    first = keyed()
    for before in (None, "0:of another version"):
        change_row(first, fingerprint=before)
        assert keyed({"action": "none", "count": 2}) == first


def test_sealed_fields_are_not_compared(app: Flask) -> None:
    app.config["JOBS_ENCRYPTION_KEYS"] = PRODUCTION["JOBS_ENCRYPTION_KEYS"]
    app.register_blueprint(bp)
    letters = [{"to": to, "secret": secret} for to, secret in (("ann", "1"), ("ann", "2"))]

    assert len({enqueue("letter", one, idempotency_key="k") for one in letters}) == 1
    with pytest.raises(KeyReused):
        enqueue("letter", {"to": "bob", "secret": "1"}, idempotency_key="k")
