"""What is done elsewhere once a session's transaction is committed: publishing, removing files.

Held by the session, so a crash between the commit and the call loses the call: its users have a
sweep that finds what was not done.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from ..errors import InvalidOption, quoted
from ..values.several import check_several
from .sessions import AnySession, check_kind

log = logging.getLogger(__name__)

T = TypeVar("T")

_WAITING = "jobs.after_commit"
_COMMITTED = "jobs.committed"


@dataclass(frozen=True, slots=True)
class _Waiting:
    transaction: SessionTransaction | None
    app: Flask
    call: Callable[[list[Any]], object]
    item: Any


def after_commit(
    session: AnySession, call: Callable[[list[T]], object], items: Iterable[T]
) -> None:
    """Call with items once the session's outermost transaction has committed.

    A rollback forgets them, also one to a savepoint that was set before. All items of one
    transaction for the same function are given to it in one list, in their order, in the context of
    the app that is the current one now. What it raises is logged: the commit is done, and must not
    look as if it had failed.

    A session that has joined an outer transaction of its connection commits before that does, and
    does not hear of a savepoint of the connection's: where that matters, `call` looks whether its
    rows are there.

    Args:
        session: Which begins a transaction, if it has not yet.
        call: Runs when the connection is back in its pool. May itself use the session.
        items: For `call`.

    Raises:
        InvalidOption: One of them is something else; nothing is called.
    """
    _check(session, call, items)
    own: Session = session() if isinstance(session, scoped_session) else session
    if not own.in_transaction():
        own.begin()
    inner = own.get_nested_transaction() or own.get_transaction()
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's documented way
    waiting = own.info.setdefault(_WAITING, [])
    waiting.extend(_Waiting(inner, app, call, item) for item in items)


def _check(session: object, call: object, items: object) -> None:
    if session is None:
        raise InvalidOption("session: None has no commit to wait for; pass db.session")
    check_kind(session)
    if not callable(call):
        raise InvalidOption(f"call: {quoted(call)} is not a function; give one that takes a list")
    check_several("items", items)


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    """Drop what was asked for in a savepoint, or in the whole transaction, that rolled back."""
    if _WAITING in session.info:
        kept = [one for one in session.info[_WAITING] if not _is_within(one.transaction, previous)]
        session.info[_WAITING] = kept


@event.listens_for(Session, "after_commit")
def _remember_commit(session: Session) -> None:
    # Releasing a savepoint counts as a commit to SQLAlchemy, but not to us.
    if _WAITING in session.info and not session.in_nested_transaction():
        session.info[_COMMITTED] = True


@event.listens_for(Session, "after_transaction_end")
def _call_all(session: Session, transaction: SessionTransaction) -> None:
    """Call once the connection is back in its pool, so that a call's time is not its time."""
    if transaction.parent is not None or _WAITING not in session.info:
        return
    waiting: list[_Waiting] = session.info.pop(_WAITING)
    if not session.info.pop(_COMMITTED, False):
        return
    calls: dict[tuple[Flask, Callable[[list[Any]], object]], list[Any]] = {}
    for one in waiting:
        calls.setdefault((one.app, one.call), []).append(one.item)
    for (app, call), items in calls.items():
        with app.app_context():
            try:
                call(items)
            except Exception:
                log.exception("[jobs] After-commit call failed")


def _is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer
