"""What is no session is refused in a sentence that names the argument and the fix."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from app.db import db
from app.jobs import (
    InvalidOption,
    after_commit,
    batch,
    chain,
    create_job_execution,
    enqueue,
    enqueue_many,
    signal,
    signature,
    update_job_execution,
    workflow,
)
from tests.support.publishing import publishing
from tests.support.rows import count_rows

GOOD = {"action": "none"}
ROW = {"job_id": "one", "job_type": "sample", "payload": {}}


def step() -> Any:
    return signature("sample", GOOD)


def fill_batch(given: Any) -> None:
    with batch("some", session=given) as made:
        made.enqueue(step())


def fill_workflow(given: Any) -> None:
    with workflow("some", session=given) as made:
        made.add("first", step())


CALLS: dict[str, Callable[[Any], object]] = {
    "enqueue": lambda given: enqueue("sample", GOOD, session=given),
    "enqueue_many": lambda given: enqueue_many("sample", [GOOD], session=given),
    "batch": fill_batch,
    "workflow": fill_workflow,
    "chain": lambda given: chain(step(), session=given),
    "signal": lambda given: signal("paid", session=given),
    "create_job_execution": lambda given: create_job_execution(ROW, session=given),
    "update_job_execution": lambda given: update_job_execution("one", {}, session=given),
    "after_commit": lambda given: after_commit(given, print, [1]),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest, app: Flask) -> Any:
    with publishing(app):
        yield CALLS[request.param]


@pytest.mark.parametrize("given", ["db", 0, False, {}, b"x", Session])
def test_what_is_no_session_is_refused(call: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^session: .* pass db\.session, or a Session of"):
        call(given)

    assert count_rows() == 0


def test_flasks_own_session_is_none(call: Callable[[Any], object], app: Flask) -> None:
    with app.test_request_context(), pytest.raises(InvalidOption, match=r"^session: .*Session"):
        call(session)


def test_the_fix_names_what_was_meant(call: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidOption, match=r"; write session=db\.session$"):
        call(db)
    with pytest.raises(InvalidOption, match=r"; call it, and pass what it returns$"):
        call(sessionmaker())
    with pytest.raises(InvalidOption, match=r"jobs are recorded synchronously: pass db\.session"):
        call(AsyncSession())


def test_a_session_without_an_engine_is_refused(app: Flask) -> None:
    with publishing(app), Session() as unbound:
        for name in CALLS.keys() - {"after_commit"}:
            with pytest.raises(
                InvalidOption, match=r"no engine for the jobs' tables; make it with"
            ):
                CALLS[name](unbound)

    assert count_rows() == 0


@pytest.mark.parametrize(
    "of",
    [
        Session,
        lambda engine: sessionmaker(engine)(),
        lambda engine: scoped_session(sessionmaker(engine)),
        lambda _: db.session,
        lambda _: db.session(),
    ],
)
def test_each_kind_of_session_records(app: Flask, of: Callable[[Any], Session]) -> None:
    with publishing(app):
        used = of(db.engine)
        enqueue("sample", GOOD, session=used)
        enqueue_many("sample", [GOOD, GOOD], session=used)
        fill_batch(used)
        fill_workflow(used)
        called: list[int] = []
        after_commit(used, called.extend, [1, 2])
        assert count_rows_elsewhere() == 0
        used.commit()
        used.close()

    assert count_rows_elsewhere() == 5
    assert called == [1, 2]


def count_rows_elsewhere() -> int:
    with db.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM job_executions").scalar_one())


@pytest.mark.parametrize("function", [None, 5, "print", [print]])
def test_what_cannot_be_called_after_a_commit_is_refused(app: Flask, function: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^call: .* is not a function"):
        after_commit(db.session, function, [1])


@pytest.mark.parametrize("items", [None, 5, "ab", b"ab"])
def test_what_is_no_list_of_items_is_refused(app: Flask, items: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^items: .* is not a list"):
        after_commit(db.session, print, items)


def test_without_a_session_there_is_no_commit_to_wait_for(app: Flask) -> None:
    nothing: Any = None
    with pytest.raises(InvalidOption, match=r"^session: None .* pass db\.session"):
        after_commit(nothing, print, [1])
