"""`after_commit`: a call if, and only if, the outermost transaction of a session commits."""

import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, current_app
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import db
from app.jobs import after_commit

Call = Callable[[list[str]], None]


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with Session(db.engine) as session:
        yield session


@pytest.fixture
def calls() -> list[list[str]]:
    """Collect what `call` was given, one list a time."""
    return []


@pytest.fixture
def call(calls: list[list[str]]) -> Call:
    return calls.append


def test_nothing_is_called_before_the_commit_and_all_is_in_one_call(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    after_commit(session, call, ["a", "b"])
    after_commit(session, call, ["c"])
    assert calls == []

    session.commit()
    session.commit()

    assert calls == [["a", "b", "c"]]


def test_each_function_gets_its_own_in_the_order_of_the_first(session: Session) -> None:
    calls: list[tuple[str, list[str]]] = []

    def first(items: list[str]) -> None:
        calls.append(("first", items))

    def second(items: list[str]) -> None:
        calls.append(("second", items))

    after_commit(session, first, ["a"])
    after_commit(session, second, ["b"])
    after_commit(session, first, ["c"])
    session.commit()

    assert calls == [("first", ["a", "c"]), ("second", ["b"])]


def test_a_rollback_forgets_all_and_the_next_transaction_starts_afresh(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    after_commit(session, call, ["lost"])
    session.rollback()
    session.execute(text("SELECT 1"))
    session.commit()
    assert calls == []

    after_commit(session, call, ["kept"])
    session.commit()

    assert calls == [["kept"]]


def test_closing_without_a_commit_forgets_all(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    after_commit(session, call, ["lost"])
    session.close()
    session.execute(text("SELECT 1"))
    session.commit()

    assert calls == []


def test_a_savepoint_that_rolls_back_takes_its_own_and_those_within(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    after_commit(session, call, ["before"])
    outer = session.begin_nested()
    after_commit(session, call, ["outer"])
    with session.begin_nested():
        after_commit(session, call, ["inner"])
    outer.rollback()
    after_commit(session, call, ["after"])
    session.commit()

    assert calls == [["before", "after"]]


def test_a_released_savepoint_waits_for_the_outermost_commit(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    with session.begin_nested():
        after_commit(session, call, ["within"])
    assert calls == []

    session.commit()

    assert calls == [["within"]]


def test_two_sessions_do_not_mix(session: Session, call: Call, calls: list[list[str]]) -> None:
    with Session(db.engine) as other:
        after_commit(session, call, ["ours"])
        after_commit(other, call, ["theirs"])
        session.rollback()
        other.commit()

    assert calls == [["theirs"]]


def test_a_call_that_fails_breaks_neither_the_commit_nor_the_next_call(
    session: Session, call: Call, calls: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: list[str]) -> None:
        raise RuntimeError("no luck")

    session.execute(text("CREATE TEMPORARY TABLE written (n int)"))
    after_commit(session, fail, ["a"])
    after_commit(session, call, ["b"])
    with caplog.at_level(logging.ERROR):
        session.commit()

    assert calls == [["b"]]
    assert "no luck" in caplog.text


def test_the_connection_is_back_in_its_pool_and_the_app_is_there(
    app: Flask, session: Session
) -> None:
    seen: list[tuple[str, bool]] = []

    def look(_: list[str]) -> None:
        seen.append((current_app.name, session.in_transaction()))

    session.execute(text("SELECT 1"))
    after_commit(session, look, ["a"])
    session.commit()

    assert seen == [(app.name, False)]


def test_a_call_may_use_the_session_and_ask_for_more(
    session: Session, call: Call, calls: list[list[str]]
) -> None:
    def go_on(items: list[str]) -> None:
        after_commit(session, call, [*items, str(session.scalar(text("SELECT 2")))])
        session.commit()

    after_commit(session, go_on, ["1"])
    session.commit()

    assert calls == [["1", "2"]]


def test_the_scoped_session_of_the_app_will_do(
    app: Flask,
    call: Call,
    calls: list[list[str]],
) -> None:
    after_commit(db.session, call, ["a"])
    db.session.commit()

    assert calls == [["a"]]


def test_a_session_in_an_outer_transaction_commits_before_that(
    app: Flask,
    call: Call,
    calls: list[list[str]],
) -> None:
    """So the docstring has `call` look whether its rows are there."""
    with db.engine.connect() as connection, connection.begin() as outer:
        with Session(connection) as joined:
            after_commit(joined, call, ["a"])
            joined.commit()
        assert calls == [["a"]]
        outer.rollback()
