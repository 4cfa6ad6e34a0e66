"""The jobs of a batch are listed, counted and changed without reading those of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, text

from app.db import db
from app.jobs.operate import actions, list_jobs
from app.jobs.table.counts import count_jobs
from app.jobs.table.filters import Filter

#: Jobs of the batch, and as many times that many before it and after it.
MANY, OTHERS = 3_000, 4
DEAD = 100


@pytest.fixture
def batch_id(app: Flask) -> str:
    made = str(uuid4())
    add = text(
        "INSERT INTO job_executions (job_id, job_type, payload, status, dead_at, batch_id)"
        " SELECT gen_random_uuid(), 'sample', '{}', CASE WHEN n <= :dead THEN 'failed' ELSE"
        "        :status END, CASE WHEN n <= :dead THEN now() END, CAST(:batch AS uuid)"
        "   FROM generate_series(1, :count) AS n"
    )
    others = {"status": "completed", "count": OTHERS * MANY, "batch": None, "dead": DEAD}
    for given in (others, others | {"status": "pending", "count": MANY, "batch": made}, others):
        db.session.execute(add, given)
        db.session.commit()
    db.session.execute(text("ANALYZE job_executions"))
    db.session.commit()
    return made


@contextmanager
def reads() -> Iterator[list[float]]:
    """Collect how many jobs PostgreSQL reads for each statement, and throws away again."""
    found: list[float] = []

    def measure(connection: Any, _: Any, statement: str, values: Any, *__: Any) -> None:
        if statement.startswith("SELECT") and "FROM job_executions" in statement:
            asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            [plan] = connection.exec_driver_sql(asked, values).scalar_one()
            found.append(sum(map(read_by, nodes(plan["Plan"]))))

    event.listen(db.engine, "before_cursor_execute", measure)
    yield found
    event.remove(db.engine, "before_cursor_execute", measure)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def read_by(node: dict[str, Any]) -> float:
    if "Scan" not in node["Node Type"] or node["Node Type"] == "Subquery Scan":
        return 0
    found: float = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * (
        node["Actual Loops"]
    )
    return found


@pytest.mark.parametrize("patience", [None, 1.0])
def test_pages_of_it_are_read_and_nothing_else(batch_id: str, patience: float | None) -> None:
    after, numbers = None, []

    with reads() as found:
        for _ in range(MANY // 500):
            page = list_jobs(Filter(batch_id=batch_id), limit=500, patience=patience, after=after)
            numbers += [row.id for row in page.jobs]
            after = page.after

    assert len(numbers) == MANY
    assert after is None
    assert numbers == sorted(numbers, reverse=True)
    assert max(found) <= 510


def test_they_are_counted_in_it_alone(batch_id: str) -> None:
    wanted = [Filter(batch_id=batch_id), Filter(batch_id=batch_id, dead=True)]

    with reads() as found:
        counted = count_jobs(wanted, cap=10_000, near=1_000)

    assert counted == [MANY, DEAD]
    assert sum(found) <= 4 * MANY


def test_they_are_called_off_in_it_alone(batch_id: str) -> None:
    with reads() as found:
        done = actions.cancel(Filter(batch_id=batch_id), by="test")

    assert done.count == MANY
    assert max(found) <= 2 * MANY
